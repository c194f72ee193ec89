// The owner's view of comparisons: campaigns, links, Table 5, Figure 3, and new comparisons.
import { answers } from "/static/comparisons_students.js";
import { bars, grid } from "/static/comparisons_table.js";
import { api, copied, count, fill, find, make, say, told } from "/static/studio.js";

const root = "/api/compare";
const EVERY = 5000; // milliseconds between two looks at a campaign
const MOST_FAULTS = 8;

let home = null; // { systems, compare, judge }
let sheets = []; // files of answers: { name, text, systems, faults }
let known = ""; // what the table rests on, so that it is not asked for again when nothing changed

const at = (name, rest) => `${root}/${encodeURIComponent(name)}/${rest}`;
const which = () => find("#which").value;
const option = (value, text = value) => make("option", { value }, text);
const options = (select, names) => {
  const before = select.value;
  fill(select, names.map((name) => option(name)));
  if (names.includes(before)) select.value = before;
};

async function begin(chosen = null) {
  home = await api(`${root}/systems`);
  options(find("#which"), home.compare);
  options(find("#judged"), home.judge);
  if (chosen) find("#which").value = chosen;
  find("#campaign").hidden = find("#table").hidden = home.compare.length === 0;
  find("#new").open = home.compare.length === 0;
  if (!find("#name").value) find("#name").value = free();
  systems();
  known = "";
  if (home.compare.length) await look();
  await figure();
}

// A name that no campaign has yet.
function free() {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? "comparison" : `comparison ${number}`;
    if (!home.compare.includes(name) && !home.judge.includes(name)) return name;
  }
}

// ---- a campaign

async function look() {
  const campaign = which();
  if (!campaign) return;
  const found = await api(at(campaign, "overview"));
  const done = found.people.map(({ progress }) => [progress.labelled, progress.skipped, progress.mean_seconds]);
  const now = JSON.stringify([campaign, find("#rule").value, found.labels, done]);
  const tiles = [
    ["Items with all their judges", `${count(found.complete)} of ${count(found.items)}`],
    ["Comparisons made", count(found.labels)],
    ["Judges an item", count(found.judges)],
  ];
  fill(find("#tiles"), tiles.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  find("#done").style.width = `${(100 * found.labels) / Math.max(1, found.items * found.judges)}%`;
  people(found.people);
  find("#study").hidden = !found.study;
  find("#study").textContent = found.study ? `Participants of Prolific come by ${location.origin}${found.study}` : "";
  if (now === known) return;
  await table(campaign);
  known = now;
}

function people(judges) {
  if (!judges.length) {
    fill(find("#people"), make("p", { class: "soft files" }, "Nobody has begun. Make a link for yourself, or for somebody else."));
    return;
  }
  const head = ["Judge", "Compared", "Skipped", "Flagged", "Seconds each"];
  const rows = judges.map(({ name, progress }) => [
    name, count(progress.labelled), count(progress.skipped), count(progress.flagged),
    progress.mean_seconds === null ? "–" : progress.mean_seconds.toFixed(1),
  ]);
  fill(find("#people"), grid(head, rows));
}

async function table(campaign) {
  const found = await api(at(campaign, `table?rule=${encodeURIComponent(find("#rule").value)}`));
  const lost = found.rule === "tie" ? "counts as a tie" : "is left out";
  find("#rule-said").textContent =
    `An item's judges decide by strict majority, more than half of them; an item without one ${lost}. ` +
    "Intervals (95 %) come from whole images drawn again.";
  fill(
    find("#preferences"),
    found.lines.length ? bars(found.lines) : make("p", { class: "soft files" }, "No comparison was made yet."),
    faults(found.faults),
  );
  const rule = encodeURIComponent(found.rule);
  const files = [
    ["Table 5 (Markdown)", `table.md?rule=${rule}`], ["Comparisons (Parquet)", "export/parquet"],
    ["CSV", "export/csv"], ["Everything (JSON lines)", "export/jsonl"],
  ];
  fill(find("#files"), files.map(([name, path]) => make("a", { href: at(campaign, path) }, name)));
}

async function invite(event) {
  event.preventDefault();
  const { name, path } = await api(at(which(), "links"), { body: { name: find("#judge").value } });
  const address = new URL(path, location.href).href;
  find("#link").hidden = false;
  find("#address").value = address;
  find("#open").href = path;
  find("#judge").value = "";
  find("#address").select();
  find("#invited").textContent = `The link of ${name}; it is shown once.`;
}

async function copy() {
  say((await copied(find("#address"))) ? "Copied." : "This browser copies nothing: the link is chosen.");
}

// ---- a new comparison

async function read() {
  for (const file of find("#sheets").files) {
    const text = await file.text();
    const found = await api(`${root}/answers/upload`, { body: { name: file.name, text } });
    sheets = [...sheets.filter((one) => one.name !== file.name), { name: file.name, text, ...found }];
  }
  find("#sheets").value = "";
  systems();
}

function systems() {
  const rows = home.systems.map((one) =>
    make("li", {}, make("b", {}, one.name), " ", make("span", { class: "soft" }, one.fault || one.note)),
  );
  for (const sheet of sheets) {
    const held = Object.entries(sheet.systems).map(([name, number]) => `${name}: ${count(number)} answers`);
    rows.push(make("li", {}, make("b", {}, sheet.name), " ", make("span", { class: "soft" }, held.join(" · ") || "no answers"), faults(sheet.faults)));
  }
  fill(find("#systems"), rows);
  const named = [
    ...home.systems.filter((one) => !one.fault).map((one) => one.name),
    ...sheets.flatMap((sheet) => Object.keys(sheet.systems)),
  ];
  const names = [...new Set(named)];
  const chosen = find("#second").value && find("#second").value !== find("#first").value;
  options(find("#first"), names);
  options(find("#second"), names);
  if (!chosen && names.length > 1) find("#second").value = names.find((name) => name !== find("#first").value);
  if (names.length < 2) find("#others").open = true;
  find("#go").disabled = names.length < 2;
  asked();
}

// The chosen students that have no file of answers, so that they are asked when a comparison begins.
function pupils() {
  const students = home.systems.filter((one) => one.kind === "student" && !sheets.some((sheet) => one.name in sheet.systems));
  const chosen = [find("#first").value, find("#second").value];
  return students.map((one) => one.name).filter((name) => chosen.includes(name));
}

function asked() {
  find("#asked").hidden = pupils().length === 0;
}

async function start(event) {
  event.preventDefault();
  find("#go").disabled = true;
  const files = [...sheets];
  try {
    for (const name of find("#first").value === find("#second").value ? [] : pupils()) {
      const tell = (done, total) => fill(find("#begun"), make("p", { class: "soft" }, `${name} answers: ${count(done)} of ${count(total)} questions …`));
      files.push(await answers(name, Number(find("#number").value), tell));
    }
    const body = {
      name: find("#name").value.trim(), first: find("#first").value, second: find("#second").value,
      judges: Number(find("#judges").value), files: files.map(({ name, text }) => ({ name, text })),
    };
    const found = await api(`${root}/campaigns/upload`, { body });
    found.faults.unshift(...files.slice(sheets.length).flatMap((one) => one.faults));
    const told = `${count(found.new)} of ${count(found.items)} questions are new in “${found.name}”. Make links for judges above.`;
    find("#name").value = "";
    await begin(found.name);
    find("#new").open = found.faults.length > 0;
    fill(find("#begun"), make("p", {}, told), faults(found.faults));
    say(told);
    find("#campaign").scrollIntoView({ block: "nearest" });
  } catch (error) {
    fill(find("#begun"), make("p", { class: "notice" }, error.message));
  } finally {
    systems();
  }
}

function faults(list) {
  if (!list.length) return null;
  const lines = list.map(({ source, reason }) => `${source}: ${reason}`);
  const rest = lines.length - MOST_FAULTS;
  const save = make("a", { href: "#", download: "left-out.txt" }, `all ${count(lines.length)} as a file`);
  save.addEventListener("click", () => (save.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`]))));
  return make(
    "details", { class: "files", open: lines.length <= MOST_FAULTS },
    make("summary", {}, `${count(lines.length)} left out`),
    make("ul", { class: "faults" }, lines.slice(0, MOST_FAULTS).map((line) => make("li", {}, line))),
    rest > 0 ? make("p", {}, save) : null,
  );
}

// ---- Figure 3

async function figure() {
  find("#likert").hidden = home.judge.length === 0;
  find("#likert-chosen").hidden = home.judge.length < 2;
  const campaign = find("#judged").value;
  if (!campaign) return;
  const found = await api(at(campaign, "figure")).catch((error) => error);
  const rest = found.left_out ? ` ${count(found.left_out)} more were rated and are left out: the critic learnt from their pictures.` : "";
  if (found instanceof Error || !found.judgments) {
    fill(find("#figure"), make("p", { class: "soft" }, found.message ?? `No triple was rated yet.${rest}`));
    return;
  }
  const names = { qa: "QA", rationale: "QA → R" };
  const rows = found.criteria.map((one) => [names[one.criterion], told3(one.without), told3(one.kept), told3(one.gain, true), told3(one.agreement)]);
  fill(
    find("#figure"),
    make("img", { src: at(campaign, `figure.svg?of=${found.judgments}`), alt: "Mean ratings without and with filtering", width: 460, height: 300 }),
    make("div", {},
      grid(["Rating", "All", "Kept", "Gain", "Agreement"], rows),
      make("p", { class: "soft files" }, `${count(found.judgments)} judgments of ${count(found.triples)} triples; ${count(found.kept)} of them are kept. Ratings go from 1, reject, to 3, accept.${rest}`),
      make("p", { class: "row files" }, make("a", { href: at(campaign, "figure.md") }, "Figure 3 (Markdown)")),
    ),
  );
}

const told3 = ({ value, low, high }, signed = false) => {
  if (value === null) return "–";
  const form = (number) => `${signed && number >= 0 ? "+" : ""}${number.toFixed(2)}`;
  return make("span", { class: "share" }, form(value), low === null ? null : make("small", { class: "soft" }, `${form(low)} to ${form(high)}`));
};

find("#which").addEventListener("change", told(look));
find("#rule").addEventListener("change", told(look));
find("#judged").addEventListener("change", told(figure));
find("#invite").addEventListener("submit", told(invite));
find("#invite button").disabled = false; // before this a browser would send the form by itself
find("#copy").addEventListener("click", told(copy));
find("#sheets").addEventListener("change", told(read));
for (const select of ["#first", "#second"]) find(select).addEventListener("change", asked);
find("#begin").addEventListener("submit", told(start));
told(begin)();
setInterval(() => !document.hidden && home?.compare.length && look().catch(() => undefined), EVERY);
