// An image with everything that the run ever said of it.
import { Boxes } from "/static/boxes.js";
import { all, api, chip, count, fill, find, make, named, say, worded } from "/static/studio.js";

const id = find("#name").dataset.image;
const boxes = new Boxes(find("#picture"), { alt: "The picture" });
let regions = [];

const from = (origin) => make("span", { class: "from" }, `${origin.stage} · shard ${origin.shard}`);
const share = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
const section = (title, origin, ...content) =>
  make("section", { class: "sheet" }, make("h2", {}, title, origin ? from(origin) : null), ...content);
const words = (text, mentions = []) => worded(text, regions, mentions);

function legend() {
  fill(find("#legend"), regions.map((region) => {
    const label = [region.label, region.description].filter(Boolean).join(": ") || "region";
    return make("li", {}, make("button", { type: "button", "aria-pressed": "false", value: region.id }, chip(region.id), make("span", {}, label)));
  }));
}

function light(ids) {
  boxes.light(ids);
  for (const button of all("#legend button")) button.setAttribute("aria-pressed", String(ids.includes(Number(button.value))));
}

function concepts(one, origin) {
  const group = (title, labels) =>
    labels.length
      ? [make("h3", {}, title), make("ul", { class: "labels" }, labels.map((label) => make("li", {}, label.label, make("small", {}, label.score.toFixed(2)))))]
      : null;
  return section("Concepts", origin, group("Places", one.places), group("Objects", one.objects), group("Concepts", one.concepts));
}

function judged(triple) {
  if (!triple.judgments.length) return null;
  const row = (one) => make("tr", {},
    make("th", { scope: "row" }, one.annotator), make("td", { class: "right" }, String(one.qa)),
    make("td", { class: "right" }, one.rationale === null ? "–" : String(one.rationale)),
    make("td", { class: "right" }, one.seconds === null ? "–" : `${one.seconds.toFixed(1)} s`));
  const head = ["Judged by", "Q and A", "Rationale", "Time"].map((title, place) => make("th", { scope: "col", class: place ? "right" : null }, title));
  return make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, triple.judgments.map(row)));
}

function triple(one) {
  const state = one.accepted === null ? ["", "not filtered yet"] : one.accepted ? ["good", "accepted"] : ["warn", "not accepted"];
  const parts = one.score && `accept ${share(one.score.accept)} · Q and A ${share(one.score.qa)} · rationale ${share(one.score.rationale)}`;
  const ids = one.mentions.length ? one.mentions.map((mention) => mention.region_id) : named(`${one.question} ${one.answer} ${one.rationale}`);
  const element = make("article", { class: "triple", id: one.id },
    make("p", { class: "question words" }, words(one.question, one.mentions)),
    make("p", { class: "words" }, words(one.answer, one.mentions)),
    make("p", { class: "words soft" }, words(one.rationale, one.mentions)),
    make("div", { class: "row" }, make("span", { class: `pill ${state[0]}` }, state[1]),
      one.sampled ? make("span", { class: "pill strong" }, `judged to ${one.sampled}`) : null,
      parts ? make("span", { class: "soft number" }, parts) : null),
    judged(one),
    make("p", { class: "from" }, `${one.origin.stage} · shard ${one.origin.shard} · ${one.id}`,
      one.reply_id ? [" · from ", make("a", { href: `#reply-${one.reply_id}` }, `reply ${one.reply_id}`)] : null,
      one.model ? ` · ${one.model}` : null));
  element.addEventListener("pointerenter", () => light(ids));
  element.addEventListener("pointerleave", () => light([]));
  return element;
}

function reply({ origin, reply: one }) {
  const tokens = one.input_tokens === null ? "tokens unknown" : `${count(one.input_tokens)} tokens in, ${count(one.output_tokens ?? 0)} out`;
  return make("details", { class: "reply", id: `reply-${one.id}` },
    make("summary", {}, `Turn ${one.turn + 1}, ${one.style === "id" ? "by number" : "by description"}: ${one.model}`),
    make("p", { class: "from" }, `${origin.stage} · shard ${origin.shard} · ${one.id} · ${tokens} · ${one.seconds.toFixed(1)} s · ended: ${one.finish || "unknown"}`),
    one.messages.map((message) => [make("h3", {}, message.role), make("pre", {}, message.text)]),
    make("h3", {}, "reply"), one.error ? make("p", { class: "notice" }, one.error) : make("pre", {}, one.text));
}

function said(all_, origin) {
  const sections = [];
  if (all_.triples.length) sections.push(section(`Triples (${all_.triples.length})`, null, all_.triples.map(triple)));
  if (all_.annotation) {
    const { captions, places } = all_.annotation;
    sections.push(section("The owner's annotations", origin.annotation, captions.map((text) => make("p", {}, text)),
      places.length ? make("ul", { class: "labels" }, places.map((place) => make("li", {}, place.text))) : null));
  }
  if (all_.narratives) sections.push(section("Narratives", origin.narratives, all_.narratives.texts.map((text) => make("p", { class: "words" }, words(text)))));
  if (all_.concepts) sections.push(concepts(all_.concepts, origin.concepts));
  if (all_.dialogue) {
    sections.push(section("Dialogue", origin.dialogue, all_.dialogue.exchanges.map((one) => [
      make("p", { class: "words" }, make("b", {}, words(one.question)), make("br"), words(one.answer))])));
  }
  if (all_.rejects.length) {
    sections.push(section(`Left out (${all_.rejects.length})`, null, all_.rejects.map(({ origin: where, reject }) =>
      make("div", { class: "triple" }, make("p", {}, make("b", {}, reject.reason)), make("p", { class: "words soft" }, reject.text),
        make("p", { class: "from" }, `${where.stage} · shard ${where.shard} · ${reject.source}`)))));
  }
  if (all_.replies.length) {
    sections.push(section(`Prompts and replies (${all_.replies.length})`, null,
      make("p", { class: "soft" }, "Word for word, as they were sent and as they came."), all_.replies.map(reply)));
  }
  return sections;
}

function reveal() {
  const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!wanted) return;
  if (wanted.tagName === "DETAILS") wanted.open = true;
  wanted.scrollIntoView({ block: "start" });
}

async function begin() {
  const found = await api(`/api/explore/image/${id}`);
  const { image } = found;
  const origins = Object.fromEntries(found.origins);
  regions = found.regions?.regions ?? [];
  document.title = `${image.path.split("/").at(-1)} · lskd`;
  find("#name").textContent = (image.source ?? image.path).split("/").at(-1);
  boxes.show(`/images/${id}?side=1536`, image.width, image.height, regions);
  legend();
  const facts = [["Id", image.id], ["Size", `${image.width} × ${image.height} pixels`], ["File", image.path], ["Row", image.source],
    ["Copies", found.copies.join(", ") || null], ["Made by", `${found.origin.stage}, shard ${found.origin.shard}`],
    ["Regions", origins.regions ? `${origins.regions.stage}, shard ${origins.regions.shard}` : regions.length ? "with the examples" : "not made yet"]];
  fill(find("#facts"), facts.filter(([, value]) => value).map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  fill(find("#said"), said(found, origins));
  find("#said").setAttribute("aria-busy", "false");
  reveal();
}

find("#marks").addEventListener("click", (event) => {
  const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
  event.currentTarget.setAttribute("aria-pressed", String(on));
  boxes.svg.style.visibility = on ? "visible" : "hidden";
});
find("#legend").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const off = button.getAttribute("aria-pressed") === "true";
  light(off ? [] : [Number(button.value)]);
});
boxes.addEventListener("choose", (event) => light(event.detail.id === null ? [] : [event.detail.id]));
addEventListener("hashchange", reveal);
// Back with the filters that one came with.
find("#up").addEventListener("click", (event) => {
  if (!document.referrer && history.length < 2) return;
  if (history.length > 1) {
    event.preventDefault();
    history.back();
  }
});
begin().catch((error) => say(error.message, "bad"));
