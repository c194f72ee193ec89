// The corpus by filters. The address of the page holds the filters, so that it can be kept or sent.
import { Boxes } from "/static/boxes.js";
import { all, api, count, fill, find, make, named, say, worded } from "/static/studio.js";

const MOST_COUNTED = 10000;
const form = find("#filters");
const state = { kind: "images", trail: [null], shown: 0 }; // trail: after which row each page begins
let asked = null;

const kindOf = (element) => (element.dataset.for ?? "images triples rejects").split(" ");

function read() {
  const found = new URLSearchParams();
  for (const field of all("[name]", form)) {
    const holder = field.closest("[data-for]") ?? field;
    const value = field.value.trim();
    if (value && kindOf(holder).includes(state.kind)) found.set(field.name, value);
  }
  return found;
}

function adopt(kind) {
  state.kind = kind;
  for (const tab of all(".tabs button", form)) tab.setAttribute("aria-pressed", String(tab.value === kind));
  for (const holder of all("[data-for]", form)) holder.hidden = !kindOf(holder).includes(kind);
}

function picture(src, width, height, regions) {
  const holder = make("div");
  // Within a link, marks are looked at: a click on one follows the link.
  const boxes = new Boxes(holder, { still: true });
  boxes.image.loading = "lazy";
  boxes.show(src, width, height, regions);
  return holder;
}

const several = (number, one, more) => `${count(number)} ${number === 1 ? one : more}`;
const score = (value) => (value === null ? null : make("span", { class: "soft score" }, `score ${value.toFixed(3)}`));
const verdict = (accepted) =>
  accepted === null
    ? make("span", { class: "pill" }, "not filtered yet")
    : make("span", { class: accepted ? "pill good" : "pill warn" }, accepted ? "accepted" : "not accepted");

function tile(one) {
  const facts = [
    one.regions === null ? "no regions yet" : several(one.regions.length, "region", "regions"),
    several(one.triples, "triple", "triples"),
    one.accepted === null ? "not filtered yet" : `${count(one.accepted)} accepted`,
  ];
  const frame = make("span", { class: "frame" }, picture(`/images/${one.id}?side=384`, one.width, one.height, one.regions ?? []));
  return make("a", { class: "tile", href: `/explore/${one.id}` }, frame, make("b", { title: one.name }, one.name), make("small", {}, facts.slice(0, 2).join(" · ")), make("small", {}, facts[2]));
}

function card(one) {
  const lit = one.mentions.length ? one.mentions.map((mention) => mention.region_id) : named(`${one.question} ${one.answer} ${one.rationale}`);
  const words = (text) => worded(text, one.regions, one.mentions);
  return make("article", { class: "card" },
    make("a", { class: "picture", href: `/explore/${one.image_id}#${one.id}`, "aria-label": "All about this image" },
      picture(`/images/${one.image_id}?side=384`, one.width, one.height, one.regions.filter((region) => lit.includes(region.id)))),
    make("div", {},
      make("p", { class: "question words" }, words(one.question)),
      make("p", { class: "words" }, words(one.answer)),
      make("p", { class: "words soft" }, words(one.rationale)),
      make("div", { class: "row" }, verdict(one.accepted), score(one.score))));
}

function drop(one) {
  return make("article", { class: "drop" },
    make("p", {}, make("b", {}, one.reason), " ", make("span", { class: "pill" }, one.stage)),
    make("p", { class: "soft" }, one.image_id
      ? make("a", { href: `/explore/${one.image_id}` }, make("code", {}, one.source))
      : make("code", {}, one.source)),
    one.text ? make("pre", {}, one.text) : null);
}

const VIEWS = { images: ["tiles", tile], triples: ["cards", card], rejects: ["drops", drop] };

async function load() {
  asked?.abort();
  asked = new AbortController();
  const { signal } = asked;
  const filters = read();
  const address = new URLSearchParams([["show", state.kind], ...filters]);
  history.replaceState(null, "", `?${address}`);
  const from = state.trail.at(-1);
  if (from) {
    filters.set("after", from.number);
    if (filters.has("order") && from.score !== null) filters.set("score", from.score);
  }
  find("#results").setAttribute("aria-busy", "true");
  try {
    const page = await api(`/api/explore/${state.kind}?${filters}`, { signal });
    show(page);
  } catch (error) {
    if (error.name === "AbortError") return;
    say(error.message, "bad");
    find("#results").setAttribute("aria-busy", "false");
  }
}

function show(page) {
  const [look, draw] = VIEWS[state.kind];
  const results = find("#results");
  results.className = page.rows.length ? look : "";
  fill(results, page.rows.length ? page.rows.map(draw) : make("p", { class: "empty" }, "Nothing fits these filters."));
  results.setAttribute("aria-busy", "false");
  const total = page.count > MOST_COUNTED ? `more than ${count(MOST_COUNTED)}` : count(page.count);
  const noun = { images: "image", triples: "triple", rejects: "row left out" }[state.kind];
  const plural = { images: "images", triples: "triples", rejects: "rows left out" }[state.kind];
  find("#count").textContent = `${total} ${page.count === 1 ? noun : plural}`;
  const last = page.rows.at(-1);
  state.last = last ? { number: last.number, score: last.score ?? null } : null;
  find("#back").disabled = state.trail.length < 2;
  find("#next").disabled = !page.more;
  find("#place").textContent = page.count ? `page ${state.trail.length}` : "";
}

function again() {
  state.trail = [null];
  load();
}

async function begin() {
  const summary = await api("/api/explore/summary");
  const kept = summary.accepted === null ? null : `${count(summary.accepted)} accepted`;
  find("#totals").textContent = [several(summary.images, "image", "images"), several(summary.triples, "triple", "triples"), kept, `${count(summary.rejects)} left out`].filter(Boolean).join(" · ");
  for (const stage of new Set(summary.reasons.map((one) => one.stage))) {
    find("[name=stage]").append(make("option", { value: stage }, stage));
  }
  for (const one of summary.reasons) {
    find("[name=reason]").append(make("option", { value: one.reason }, `${one.reason} (${one.stage}, ${count(one.count)})`));
  }
  const given = new URLSearchParams(location.search);
  for (const [name, value] of given) {
    const field = find(`[name="${CSS.escape(name)}"]`, form);
    if (field) field.value = value;
  }
  // On a phone the results come first, unless filters are set.
  if (matchMedia("(max-width: 600px)").matches && read().size <= given.has("text")) find("#more").open = false;
  adopt(given.get("show") in VIEWS ? given.get("show") : "images");
  await load();
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(again));
let waiting = null;
form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => form.reportValidity() && again(), 250);
});
find(".tabs").addEventListener("click", (event) => {
  const tab = event.target.closest("button");
  if (!tab) return;
  adopt(tab.value);
  again();
});
find("#next").addEventListener("click", () => {
  state.trail.push(state.last);
  load();
  scrollTo({ top: 0 });
});
find("#back").addEventListener("click", () => {
  state.trail.pop();
  load();
  scrollTo({ top: 0 });
});
begin().catch((error) => say(error.message, "bad"));
