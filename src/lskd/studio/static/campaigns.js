// The researcher's view: how far each campaign is, kept fresh while it is looked at, and links.
import { all, api, copied, count, fill, find, make, say, told } from "/static/studio.js";

const EVERY = 5000; // milliseconds
const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits).replace("-", "\u2212"));

for (const section of all("[data-campaign]")) campaign(section);

function campaign(section) {
  const root = `/api/annotate/${encodeURIComponent(section.dataset.campaign)}`;
  const part = (name) => find(`[data-part="${name}"]`, section);

  async function refresh() {
    if (!document.hidden) show(part, await api(`${root}/overview`));
  }

  async function follow() {
    try {
      await refresh();
    } catch (error) {
      part("state").textContent = error.message;
    }
    setTimeout(follow, EVERY);
  }

  part("invite").addEventListener(
    "submit",
    (event) => {
      event.preventDefault();
      told(async () => {
        const field = find("input", part("invite"));
        const made = await api(`${root}/links`, { body: { name: field.value } });
        field.value = "";
        tell(part("link"), made);
        await refresh();
      })();
    },
  );
  find("button", part("invite")).disabled = false; // before this a browser would send the form by itself
  follow();
}

// Only a hash of a link is kept, so this is the one time that it can be seen.
function tell(place, { name, path }) {
  const address = make("input", { readonly: true, value: new URL(path, location.origin).href, "aria-label": `The link of ${name}` });
  const copy = async () => say((await copied(address)) ? "The link is in the clipboard." : "This browser copies nothing: the link is chosen.");
  fill(
    place,
    make("span", {}, `The link of ${name}; it is shown once, and an earlier one of theirs no longer works.`),
    address,
    make("button", { type: "button", onclick: told(copy) }, "Copy"),
    make("a", { href: path, class: "button strong" }, "Judge here"),
  );
  place.hidden = false;
}

function show(part, told) {
  const share = told.items ? (100 * told.complete) / told.items : 0;
  const judged = told.overlap === 1 ? "1 person" : `${told.overlap} people`;
  part("state").textContent =
    `${count(told.complete)} of ${count(told.items)} items judged by ${judged}` + (told.gold ? `, and ${count(told.gold)} with a known answer` : "");
  part("meter").style.width = `${share}%`;
  fill(
    part("figures"),
    figure("Judgments", count(told.labels), `${judged} an item`),
    agreement("Agreement on question and answer", told.qa),
    agreement("Agreement on the reason", told.rationale),
  );
  part("people").hidden = told.people.length === 0;
  fill(find("tbody", part("people")), told.people.map(row));
  part("study").hidden = !told.study;
  const ids = ["PROLIFIC_PID", "STUDY_ID", "SESSION_ID"].map((name) => `${name}={{%${name}%}}`).join("&");
  if (told.study) fill(part("study"), "Link for Prolific: ", make("code", {}, `${location.origin}${told.study}?${ids}`));
  part("flags").hidden = told.flags.length === 0;
  fill(
    find("ul", part("flags")),
    told.flags.map(({ item, annotator, reason, at }) =>
      make("li", {}, `${reason} `, make("span", { class: "soft" }, `${annotator}, ${new Date(at).toLocaleString()}, `, make("code", {}, item))),
    ),
  );
}

const figure = (title, value, note) => make("div", {}, make("dt", {}, title), make("dd", {}, value, " ", make("small", {}, note)));

function agreement(title, { value, low, high, units }) {
  if (value === null) return figure(title, "–", units ? "undefined so far" : "no item has two ratings yet");
  const interval = low === null ? "" : `${fixed(low, 2)} to ${fixed(high, 2)}, `;
  return figure(title, fixed(value, 2), `${interval}${count(units)} items, alpha`);
}

function row(one) {
  const right = (text) => make("td", { class: "right" }, text);
  return make(
    "tr",
    {},
    make("th", {}, one.name),
    right(count(one.labelled)),
    right(count(one.skipped)),
    right(count(one.flagged)),
    right(count(one.left)),
    right(one.gold_seen ? `${one.gold_right} of ${one.gold_seen}` : "–"),
    right(fixed(one.mean_seconds, 1)),
  );
}
