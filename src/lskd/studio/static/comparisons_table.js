// Table 5 as bars and as figures: rows of one or several pairs of systems go in, elements come out.
import { count, make } from "/static/studio.js";

const PARTS = [["first_wins", "of-first"], ["ties", "of-tie"], ["second_wins", "of-second"]];
const WIDE = 0.09; // a share below has no room for its figure
const titled = (aspect) => aspect[0].toUpperCase() + aspect.slice(1);
const percent = (share) => (100 * share).toFixed(1);

export function grid(head, rows) {
  const cell = (tag, content, number) => make(tag, { class: number ? "right" : null }, content);
  return make("div", { class: "scroll" },
    make("table", { class: "figures" },
      make("thead", {}, make("tr", {}, head.map((name, number) => cell("th", name, number)))),
      make("tbody", {}, rows.map((row) => make("tr", {}, row.map((content, number) => cell(number ? "td" : "th", content, number))))),
    ),
  );
}

// Lines are those of the studio's Table 5; pairs of systems follow each other.
export function bars(lines) {
  const pairs = new Map();
  for (const line of lines) {
    const key = JSON.stringify([line.first, line.second]);
    pairs.set(key, [...(pairs.get(key) ?? []), line]);
  }
  return [...pairs.values()].flatMap((some) => [pictured(some), figures(some)]);
}

function pictured(lines) {
  const swatch = (name, part) => make("li", {}, make("i", { class: part }), name);
  const [{ first, second }] = lines;
  return make("div", { class: "bars" },
    make("ul", { class: "legend" }, swatch(first, "of-first"), swatch("Tie", "of-tie"), swatch(second, "of-second")),
    lines.map((line) => make("div", {},
      make("p", { class: "name" }, make("b", {}, titled(line.aspect)), make("span", { class: "soft" }, sure(line))),
      make("div", { class: "stack-bar", "aria-hidden": "true" }, PARTS.map(([part, kind]) => segment(line[part], kind))),
    )),
  );
}

function segment({ value }, kind) {
  const piece = make("span", { class: kind }, value !== null && value >= WIDE ? `${percent(value)} %` : "");
  piece.style.width = `${100 * (value ?? 0)}%`;
  return piece;
}

const sure = ({ p }) => (p === null ? "" : `sign test p ${p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`}`);

function figures(lines) {
  const [{ first, second }] = lines;
  const row = (name, tell) => [name, ...lines.map(tell)];
  return grid(["", ...lines.map((line) => titled(line.aspect))], [
    row(first, (line) => share(line.first_wins, percent)),
    row(second, (line) => share(line.second_wins, percent)),
    row("Tie", (line) => share(line.ties, percent)),
    row("Agreement (alpha)", (line) => share(line.agreement, (number) => number.toFixed(2))),
    row("Items decided", (line) => count(line.items)),
    row("Without majority", (line) => count(line.undecided)),
    row(`Not yet judged by all (${count(lines[0].wanted)})`, (line) => count(line.unfinished)),
    row("Comparisons", (line) => `${count(line.votes)} by ${count(line.judges)}`),
  ]);
}

function share({ value, low, high }, form) {
  if (value === null) return "–";
  const interval = low === null ? null : make("small", { class: "soft" }, `${form(low)} to ${form(high)}`);
  return make("span", { class: "share" }, form(value), interval);
}
