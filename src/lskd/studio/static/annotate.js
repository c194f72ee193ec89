// Judging by keyboard: an item in view, the next one at hand, and answers on their way.
import { Boxes } from "/static/boxes.js";
import * as judging from "/static/judging.js";
import { Outbox, passing, pause } from "/static/outbox.js";
import { Stopwatch } from "/static/stopwatch.js";
import { all, api, count, fill, find, forPage, say, told, unique, worded } from "/static/studio.js";

const { campaign, person } = find("#work").dataset;
const root = `/api/annotate/${encodeURIComponent(campaign)}`;
const boxes = new Boxes(find("#picture"), { alt: "The picture that the question is about" });
const outbox = new Outbox(`annotate ${campaign} ${person}`);
const watch = new Stopwatch();

let hand = []; // the item in view first
let item = null; // the item in view
let qa = null; // its first rating, once it is given
let progress = null;
let waiting = false; // while an undo is on its way

// ---- what is shown

const picture = (one) => `/images/${one.image}?side=${devicePixelRatio > 1.4 ? 2048 : 1024}`;

function show(next) {
  if (next && next.id === item?.id) return;
  const focused = document.activeElement?.closest("#work, #rest");
  item = next ?? null;
  qa = null;
  find("#work").hidden = !item;
  find("#rest").hidden = !!item;
  if (!item) return;
  find("#every").checked = false;
  boxes.show(picture(item), item.width, item.height, marked());
  fill(find("#question"), worded(item.question, item.regions, item.mentions));
  fill(find("#answer"), worded(item.answer, item.regions, item.mentions));
  reveal(null);
  watch.start();
  if (focused) find("#question").focus({ preventScroll: true });
}

const marked = () =>
  find("#every").checked ? item.regions : item.regions.filter((region) => item.named.includes(region.id));

// The rationale is seen once question and answer are not rejected, as in the paper.
function reveal(rating) {
  qa = rating;
  for (const button of all("#qa [data-rate]")) button.setAttribute("aria-pressed", Number(button.dataset.rate) === qa);
  find("#reason").hidden = qa === null;
  find("#qa").classList.toggle("past", qa !== null);
  fill(find("#rationale"), qa === null ? [] : worded(item.rationale, item.regions, item.mentions));
  if (qa !== null) find("#reason").scrollIntoView({ block: "nearest" });
}

function rest(title, text, answer) {
  judging.rest(title, text, progress, answer);
  show(null);
}

function tell() {
  judging.tellWaiting(outbox);
  if (!progress) return;
  const labelled = progress.labelled + outbox.size;
  const total = progress.wanted ?? progress.labelled + progress.left;
  const parts = [`${count(labelled)} of ${count(Math.max(total, labelled))}`];
  if (progress.gold_seen) parts.push(`known answers ${progress.gold_right} of ${progress.gold_seen}`);
  if (progress.mean_seconds !== null) parts.push(`${progress.mean_seconds.toFixed(1)} s an item`);
  find("#progress").textContent = parts.join(" · ");
  find("#done").style.width = `${Math.min(100, (100 * labelled) / Math.max(1, total))}%`;
}

// ---- what comes from the studio

let asking = null;
let again = false;
let age = 0; // goes up with each answer that the studio has: what it told before is old news

// Fetch what is at hand; one request at a time, and one more if something changed meanwhile.
function refill() {
  again = true;
  asking ??= refilled().finally(() => (asking = null));
  return asking;
}

async function refilled() {
  for (let tries = 0; again; ) {
    again = false;
    const asked = age;
    try {
      const answer = await api(`${root}/queue`);
      if (asked === age) take(answer);
      else again = true;
      tries = 0;
    } catch (error) {
      if (!passing(error)) {
        rest("This did not work", error.message);
        return;
      }
      if (!item) rest("The studio cannot be reached", "Your answers are kept here; we try again.");
      again = true;
      await pause(tries++);
    }
  }
}

function take(answer) {
  progress = answer.progress;
  hand = answer.items.filter((one) => !outbox.holds(one.id));
  const same = hand.find((one) => one.id === item?.id);
  if (same) hand = [same, ...hand.filter((one) => one !== same)];
  for (const one of hand.slice(1)) new Image().src = picture(one);
  tell();
  if (hand.length) show(hand[0]);
  else if (outbox.size) rest("One moment", "Your answers are on their way.");
  else if (answer.finished) rest("Thank you: that was all", "Go back to Prolific to complete the study.", answer);
  else if (judging.isShort(progress)) rest("There is nothing more for you", judging.short(progress));
  else if (progress.labelled) rest("Thank you: that was all", "There is nothing more for you now. You can come back later by the same link.");
  else rest("There is nothing to judge now", "Others have these items at hand. Come back later by the same link.");
}

// ---- what people say

function send(kind, body) {
  const said = { item: item.id, key: unique(), seconds: Number(watch.seconds.toFixed(2)), ...body };
  hand = hand.filter((one) => one.id !== item.id);
  outbox.add(`${root}/${kind}`, said).then(settled, settled);
  if (hand.length) show(hand[0]);
  else rest("One moment", "Looking for your next item.");
  tell();
}

function settled() {
  age += 1;
  refill();
}

function rate(rating) {
  if (!item || waiting) return;
  if (qa === null && rating > 1) reveal(rating);
  else send("labels", qa === null ? { qa: rating, rationale: null } : { qa, rationale: rating });
}

async function undo() {
  if (waiting) return;
  if (item && qa !== null) {
    reveal(null);
    return;
  }
  waiting = true;
  try {
    const { item: opened } = await outbox.add(`${root}/undo`, { key: unique() });
    age += 1;
    if (opened) hand = [opened];
    if (opened) show(opened);
    say(opened ? "Taken back: judge it again." : "There is nothing to take back.");
  } catch {
    age += 1; // "refused" has told why
  } finally {
    waiting = false;
    refill();
  }
}

async function flag() {
  if (!item || waiting) return;
  const reason = await judging.askReason("#flagging");
  if (reason && item) send("flags", { reason });
}

const skip = () => item && !waiting && send("skips", {});

async function skipWhy() {
  if (!item || waiting) return;
  const reason = await judging.askReason("#skipping");
  if (reason !== null && item) send("skips", { reason });
}

const help = () => find("#help").showModal();
const every = () => item && (boxes.regions = marked());

// ---- keys and buttons

const KEYS = { s: skip, f: flag, u: undo, "?": help, b: () => find("#every").click() };

document.addEventListener("keydown", (event) => {
  // A key that is held down judges one item, not all of them.
  if (event.repeat || !forPage(event)) return;
  if (["1", "2", "3"].includes(event.key)) rate(Number(event.key));
  else if (event.key === "Escape" && qa !== null) reveal(null);
  else if (event.key === "S") told(skipWhy)();
  else if (event.key.toLowerCase() in KEYS) told(KEYS[event.key.toLowerCase()])();
  else return;
  event.preventDefault();
});
for (const button of all("#qa [data-rate]")) {
  button.addEventListener("click", judging.single(() => {
    reveal(null);
    rate(Number(button.dataset.rate));
  }));
}
for (const button of all("#reason [data-rate]")) button.addEventListener("click", judging.single(() => rate(Number(button.dataset.rate))));
for (const button of all("[data-undo]")) button.addEventListener("click", told(undo));
find("#skip").addEventListener("click", judging.single(skip));
find("#skip-why").addEventListener("click", told(skipWhy));
find("#flag").addEventListener("click", told(flag));
find("[data-help]").addEventListener("click", help);
find("#every").addEventListener("change", every);
judging.wireReasons();
judging.wireLight(".said, #question", boxes);

outbox.addEventListener("change", tell);
outbox.addEventListener("refused", ({ detail }) => say(`Not taken: ${detail.message}`, "bad"));
// What was left from an earlier visit goes first.
if (outbox.size) outbox.run().then(settled);
refill();
