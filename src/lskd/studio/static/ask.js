// The Ask page: a picture with regions and a question go in, what each student says comes out.
import { card, percent } from "./ask_card.js";
import { MOST_BOXES, fragment, parsed } from "./ask_link.js";
import { Boxes } from "./boxes.js";
import { all, api, chip, copied, count as amount, fill, find, make, told, worded } from "./studio.js";

const at = (id) => document.getElementById(id);
const boxes = new Boxes(at("stage"), { editable: true, most: MOST_BOXES, alt: "The picture that is asked about" });
const students = all("[data-student]");
let image = null; // {id, kept, width, height}
let awaited = null; // what a link says, while its picture is not here
let answered = null; // {question, marked, answers}: what is saved as a picture
let asking = 0; // counts questions, so that late answers to an earlier one are not shown

const corners = () => boxes.regions.map(({ box }) => [box.x0, box.y0, box.x1, box.y1]);
const drawn = ([x0, y0, x1, y1], id) => ({ id, box: { x0, y0, x1, y1 } });
const choices = () => at("choices").value.split("\n").map((line) => line.trim()).filter(Boolean);
const state = () => ({
  image: image?.id, kept: image?.kept, boxes: corners(), question: at("question").value.trim(), choices: choices(),
});

// --- the picture

function show(found, regions) {
  image = found;
  boxes.show(`/images/${found.id}?side=2048`, found.width, found.height, regions);
  at("drop").hidden = true;
  for (const id of ["stage", "hint", "tools"]) at(id).hidden = false;
  for (const thumb of all("#thumbs button")) thumb.setAttribute("aria-pressed", String(thumb.dataset.id === found.id));
  offer(found.prompts ?? [], found.regions ?? []);
  at("answers").hidden = true;
  changed();
}

async function choose(id, regions = null) {
  const found = await api(`/api/ask/images/${id}`);
  const own = found.regions.map(({ id, box, label, description }) => ({ id, box, label, description }));
  show({ ...found, regions: own }, regions ?? own);
  if (matchMedia("(max-width: 860px)").matches) fold();
}

// The run's pictures make way for what comes below them.
function fold() {
  if (at("shelf")) at("shelf").open = false;
}

async function upload(file) {
  if (!file) return;
  const found = { ...(await api("/api/ask/upload", { body: file })), kept: false };
  const same = awaited?.image === found.id;
  tell(awaited && !same ? "This is not the picture of the link, so its regions are left out." : "");
  show(found, (same && awaited.boxes?.map(drawn)) || []);
  awaited = null;
}

function offer(prompts, regions) {
  at("said").hidden = prompts.length === 0;
  const menu = at("triples");
  fill(menu, make("option", { value: "" }, `${prompts.length} questions of this run`), prompts.map((prompt, number) => make("option", { value: number }, prompt.question)));
  menu.onchange = () => {
    if (menu.value === "") return;
    const { question, choices } = prompts[Number(menu.value)];
    boxes.regions = regions; // the words name the run's own regions
    write(question, choices);
    changed();
  };
}

function write(question, lines) {
  at("question").value = question;
  at("choices").value = lines.join("\n");
}

// Chips that put a region's name into the text that was last written in.
let field = at("question");
for (const id of ["question", "choices"]) at(id).addEventListener("focus", () => (field = at(id)));

function changed() {
  const put = (id) => {
    field.setRangeText(`[${id}]`, field.selectionStart, field.selectionEnd, "end");
    field.focus();
  };
  const names = boxes.regions.map(({ id }) => make("button", { type: "button", class: "plain", title: `Write [${id}]`, onclick: () => put(id) }, chip(id)));
  fill(at("names"), names.length ? make("span", { class: "soft" }, "Write") : null, names);
  wrong("");
}

boxes.addEventListener("change", changed);
at("clear").addEventListener("click", () => boxes.clear());
at("file").addEventListener("change", told(async (event) => {
  await upload(event.target.files[0]);
  event.target.value = ""; // the same file again is a change, too
}));
const holdsFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
for (const kind of ["dragover", "dragenter"]) {
  document.addEventListener(kind, (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
document.addEventListener("drop", told((event) => {
  if (!holdsFile(event)) return undefined;
  event.preventDefault();
  document.body.classList.remove("dropping");
  return upload(event.dataTransfer.files[0]);
}));

// --- the run's pictures

const SIZE = 24;
let pages = [null]; // the number after which each page that was seen begins
let leafing = 0; // counts, so that a late page does not replace a newer one

async function leaf() {
  const mine = ++leafing;
  const after = pages.at(-1);
  const wanted = new URLSearchParams({ text: at("find").value, size: SIZE, ...(after === null ? {} : { after }) });
  const { rows, count, more } = await api(`/api/explore/images?${wanted}`);
  if (mine !== leafing) return;
  fill(at("thumbs"), rows.map(({ id, name }) => make("li", {},
    make("button", { type: "button", "data-id": id, title: name, "aria-label": name, "aria-pressed": String(image?.id === id), onclick: told(() => choose(id)) },
      make("img", { src: `/images/${id}?side=160`, alt: "", loading: "lazy" })))));
  const first = SIZE * (pages.length - 1);
  at("where").textContent = rows.length ? `${first + 1} to ${first + rows.length} of ${amount(count)}` : "none";
  at("earlier").disabled = pages.length === 1;
  at("later").disabled = !more;
  at("later").onclick = told(() => turn([...pages, rows.at(-1).number]));
  at("earlier").onclick = told(() => turn(pages.slice(0, -1)));
}

if (at("shelf")) {
  let pause;
  at("find").addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(told(() => turn([null])), 250);
  });
  told(leaf)();
}

function turn(to) {
  pages = to;
  return leaf();
}

// --- the question

function wrong(text) {
  at("wrong").textContent = text;
  at("wrong").hidden = !text;
}

async function ask() {
  wrong(image ? "" : "There is no picture yet: drop one, choose a file, or take one of the run.");
  if (!image) return;
  const mine = ++asking;
  const { image: image_id, boxes: drawnBoxes, question, choices } = state();
  const body = { image_id, boxes: drawnBoxes, question, choices };
  let marked;
  try {
    marked = await api("/api/ask/marked", { body }); // refuses what no student could be asked
  } catch (error) {
    if (mine === asking) wrong(error.message);
    return;
  }
  if (mine !== asking) return;
  history.replaceState(null, "", fragment({ ...state(), asked: true }));
  answered = { question, marked: marked.picture, answers: [] };
  fill(at("asked"), worded(question, boxes.regions));
  at("answers").hidden = false;
  fold();
  shared("");
  for (const one of students) fill(find(".outcome", one), make("p", { class: "working" }, "Waits …"));
  at("answers").scrollIntoView({ block: "nearest" });
  for (const one of students) await askOne(one, body, mine);
}

async function askOne(one, body, mine) {
  if (mine !== asking) return;
  const place = find(".outcome", one);
  fill(place, make("p", { class: "working" }, "Looks at the picture …"));
  try {
    const student = one.dataset.student;
    const { ranked, wrote, view, outside } = await api("/api/ask/answer", { body: { ...body, student } });
    if (mine !== asking) return;
    answered.answers.push({ name: student, ranked, wrote, outside });
    fill(place, outside ? make("p", { class: "amiss" }, outside) : null, wrote ? written(wrote) : null, ranked.length ? ranking(ranked) : null, view ? saw(view) : null);
  } catch (error) {
    if (mine === asking) fill(place, make("p", { class: "error" }, error.message));
  }
}

// What a student wrote, with what is amiss; a number in it that is drawn nowhere shows as such.
function written(wrote) {
  const sure = (share) => (share === null ? "" : percent(share));
  const names = wrote.undrawn.map((id) => `[${id}]`).join(", ");
  return make("div", { class: "wrote" },
    make("p", { class: "own" }, wrote.answer ? worded(wrote.answer, boxes.regions) : make("i", {}, "It wrote nothing.")),
    wrote.rationale ? make("p", {}, worded(wrote.rationale, boxes.regions)) : null,
    make("div", { class: "figures" },
      make("span", {}, "confidence ", make("b", {}, sure(wrote.confidence) || "unknown")),
      wrote.rationale ? make("span", {}, `of its reason ${sure(wrote.rationale_confidence)}`) : null),
    names ? make("p", { class: "amiss" }, `It names ${names}, which is not drawn.`) : null,
    wrote.unfinished ? make("p", { class: "amiss" }, "A text became too long and was ended.") : null);
}

function ranking(ranked) {
  return make("ol", { class: "ranking" }, ranked.map(({ choice, match, similarity }) => make("li", {},
    make("p", {}, worded(choice, boxes.regions)),
    bar(match),
    make("div", { class: "figures" },
      make("span", {}, "match ", make("b", {}, percent(match))),
      similarity === null ? null : make("span", {}, `similarity ${similarity.toFixed(3)}`)))));
}

function bar(share) {
  const filled = make("i");
  filled.style.width = `${100 * share}%`;
  return make("div", { class: "meter", "aria-hidden": "true" }, filled);
}

function saw(view) {
  return make("details", { class: "saw" }, make("summary", {}, "What it saw"), make("img", { src: view, alt: "The marked picture, as large as the student takes it" }));
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  told(ask)();
});
at("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
});

// --- sharing

const NOT_KEPT = "The picture is yours and is not kept: whoever opens the link loads the same file, and finds these regions on it.";

function shared(text) {
  at("shared").textContent = text;
  at("address").hidden = true;
}

at("link").addEventListener("click", told(async () => {
  const address = new URL(fragment({ ...state(), asked: true }), location.href).href;
  shared(image.kept ? "" : NOT_KEPT);
  at("address").value = address;
  at("address").hidden = false;
  if (await copied(at("address"))) at("shared").textContent = `The link is copied. ${at("shared").textContent}`;
}));

at("save").addEventListener("click", told(async () => {
  if (!answered.answers.length) throw new Error("There is no answer yet to save.");
  const address = URL.createObjectURL(await card(answered));
  make("a", { href: address, download: "asked.png" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}));

function tell(text) {
  at("awaited").textContent = text;
  at("awaited").hidden = !text;
}

async function open() {
  const said = parsed(location.hash);
  if (!said) return;
  awaited = null;
  write(said.question, said.choices);
  try {
    if (said.image) await choose(said.image, said.boxes?.map(drawn));
    tell("");
  } catch (error) {
    if (error.status !== 404) throw error;
    awaited = said;
    tell(said.kept ? "This link is about a picture of another run." : "The picture of this link was somebody's own and is not kept: load the same file, and its regions appear.");
    return;
  }
  if (said.asked && students.length) await ask();
}

window.addEventListener("hashchange", told(open));
told(open)();
