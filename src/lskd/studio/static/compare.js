// Comparing by keyboard: two answers in view, four questions in turn. Which system an answer is of
// is never known here: what is said is left, right or tie.
import { Boxes } from "/static/boxes.js";
import * as judging from "/static/judging.js";
import { Outbox, passing, pause } from "/static/outbox.js";
import { Stopwatch } from "/static/stopwatch.js";
import { all, api, count, fill, find, forPage, named, say, told, unique, worded } from "/static/studio.js";

const { campaign, person } = find("#work").dataset;
const root = `/api/compare/${encodeURIComponent(campaign)}`;
const boxes = new Boxes(find("#picture"), { alt: "The picture that the question is about" });
const outbox = new Outbox(`compare ${campaign} ${person}`);
const watch = new Stopwatch();
const aspects = all("[data-aspect]");
const KEYS = { 1: "left", 2: "tie", 3: "right", ArrowLeft: "left", ArrowDown: "tie", ArrowRight: "right" };

let item = null; // the item in view
let chosen = {}; // aspect -> side
let now = 0; // the aspect that the keys answer
let progress = null;
let busy = false; // while what was said is on its way

// ---- what is shown

function show(next) {
  const focused = document.activeElement?.closest("#work, #rest");
  const same = next !== null && next.id === item?.id;
  item = next;
  find("#work").hidden = !item;
  find("#rest").hidden = !!item;
  if (!item) return;
  chosen = {};
  now = 0;
  if (!same) {
    find("#every").checked = false;
    boxes.show(item.image, item.width, item.height, marked());
    fill(find("#question"), worded(item.question, item.regions));
    for (const side of ["left", "right"]) {
      const { answer, rationale } = item[side];
      fill(find(`#${side} .answer`), worded(answer, item.regions));
      fill(find(`#${side} .rationale`), worded(rationale, item.regions));
      find(`#${side} .because`).hidden = !rationale;
    }
  }
  watch.start();
  mark();
  if (focused && !same) find("#question").focus({ preventScroll: true });
  if (!same) scrollTo({ top: 0 });
}

function marked() {
  const texts = [item.question, ...[item.left, item.right].flatMap((one) => [one.answer, one.rationale])];
  const ids = new Set(texts.flatMap(named));
  const some = item.regions.filter((region) => ids.has(region.id));
  return find("#every").checked || some.length === 0 ? item.regions : some;
}

function mark() {
  aspects.forEach((row, number) => {
    const side = chosen[row.dataset.aspect];
    row.classList.toggle("now", number === now);
    row.classList.toggle("past", side !== undefined);
    for (const button of all("button", row)) {
      button.setAttribute("aria-pressed", button.dataset.side === side);
      button.disabled = busy;
    }
  });
}

function rest(title, text, answer) {
  judging.rest(title, text, progress, answer);
  show(null);
}

function tell() {
  judging.tellWaiting(outbox);
  if (!progress) return;
  const total = Math.max(progress.wanted ?? progress.labelled + progress.left, progress.labelled);
  const speed = progress.mean_seconds === null ? "" : ` · ${progress.mean_seconds.toFixed(1)} s a pair`;
  find("#progress").textContent = `${count(progress.labelled)} of ${count(total)}${speed}`;
  find("#done").style.width = `${(100 * progress.labelled) / Math.max(1, total)}%`;
}

// ---- what comes from the studio

function take(hand) {
  progress = hand.progress;
  busy = false;
  tell();
  if (hand.item) show(hand.item);
  else if (hand.finished) rest("Thank you: that was all", "Go back to Prolific to complete the study.", hand);
  else if (judging.isShort(progress)) rest("There is nothing more for you", judging.short(progress));
  else if (progress.labelled) rest("Thank you: that was all", "There is nothing more for you now. You can come back later by the same link.");
  else rest("There is nothing to compare now", "Others have these items at hand. Come back later by the same link.");
}

async function refill() {
  for (let tries = 0; ; ) {
    try {
      take(await api(`${root}/queue`));
      return;
    } catch (error) {
      if (!passing(error)) {
        rest("This did not work", error.message);
        return;
      }
      if (!item) rest("The studio cannot be reached", "Your answers are kept here; we try again.");
      await pause(tries++);
    }
  }
}

// ---- what a judge says

async function send(kind, body) {
  busy = true;
  mark();
  try {
    take(await outbox.add(`${root}/${kind}`, { key: unique(), ...body }));
    return true;
  } catch {
    await refill(); // "refused" has told why
    return false;
  }
}

const seconds = () => Number(watch.seconds.toFixed(2));

function choose(number, side) {
  if (!item || busy) return;
  chosen[aspects[number].dataset.aspect] = side;
  const open = aspects.findIndex((row) => !(row.dataset.aspect in chosen));
  now = open < 0 ? aspects.length : open;
  mark();
  if (open < 0) send("choices", { item: item.id, seconds: seconds(), ...chosen });
  else aspects[now].scrollIntoView({ block: "nearest" });
}

function back() {
  if (!item || busy || now === 0) return;
  now -= 1;
  delete chosen[aspects[now].dataset.aspect];
  mark();
}

async function undo() {
  if (busy) return;
  if (item && now > 0) back();
  else if (await send("undo", {})) say("Taken back: compare them again.");
}

async function flag() {
  if (!item || busy) return;
  const reason = await judging.askReason("#flagging");
  if (reason && item) await send("flags", { item: item.id, seconds: seconds(), reason });
}

const skip = () => item && !busy && send("skips", { item: item.id, seconds: seconds() });

async function skipWhy() {
  if (!item || busy) return;
  const reason = await judging.askReason("#skipping");
  if (reason !== null && item) await send("skips", { item: item.id, seconds: seconds(), reason });
}

const help = () => find("#help").showModal();

// ---- keys and buttons

const ACTS = { s: skip, f: flag, u: undo, "?": help, b: () => find("#every").click(), arrowup: back };

document.addEventListener("keydown", (event) => {
  // A key that is held down answers one question, not all of them.
  if (event.repeat || !forPage(event)) return;
  if (event.key in KEYS && item) choose(Math.min(now, aspects.length - 1), KEYS[event.key]);
  else if (event.key === "S") told(skipWhy)();
  else if (event.key.toLowerCase() in ACTS) told(ACTS[event.key.toLowerCase()])();
  else return;
  event.preventDefault();
});
aspects.forEach((row, number) => {
  for (const button of all("button", row)) button.addEventListener("click", judging.single(() => choose(number, button.dataset.side)));
});
for (const button of all("[data-undo]")) button.addEventListener("click", told(undo));
find("#skip").addEventListener("click", judging.single(told(skip)));
find("#skip-why").addEventListener("click", told(skipWhy));
find("#flag").addEventListener("click", told(flag));
find("[data-help]").addEventListener("click", help);
find("#every").addEventListener("change", () => item && (boxes.regions = marked()));
judging.wireReasons();
judging.wireLight(".pair, #question", boxes);

outbox.addEventListener("change", tell);
outbox.addEventListener("refused", ({ detail }) => say(`Not taken: ${detail.message}`, "bad"));
// What was left from an earlier visit goes first.
outbox.run().then(refill);
