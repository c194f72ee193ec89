// Answers on their way: each is kept in the browser until the studio has it. What a lost connection
// or a studio that is started anew holds up is sent again, in order, under the same key.
import { Failure, api } from "/static/studio.js";

const FIRST_WAIT = 400; // milliseconds; doubled with every try
const LONGEST_WAIT = 8000;

// Whether the same request may succeed later.
export const passing = ({ status }) => status === 0 || status === 408 || status === 429 || status >= 500;

export const pause = (tries) =>
  new Promise((done) => setTimeout(done, Math.min(FIRST_WAIT * 2 ** tries, LONGEST_WAIT) * (0.75 + Math.random() / 2)));

// Events: "change" when the number of answers that wait or the trouble did, "refused" (detail is the
// error) for an answer that the studio will never take.
export class Outbox extends EventTarget {
  #name;
  #waiting = []; // [{ place, path, body }]
  #answers = new Map(); // place -> [resolve, reject] of those who wait for it in this page
  #running = false;
  #number = 0;
  trouble = null; // what holds up the first answer, or null

  // `name` tells whose answers these are, among all that a browser keeps.
  constructor(name) {
    super();
    this.#name = `lskd outbox ${name} `;
    this.#waiting = kept(this.#name);
    addEventListener("beforeunload", (event) => this.size && event.preventDefault());
  }

  get size() {
    return this.#waiting.length;
  }

  holds(item) {
    return this.#waiting.some(({ body }) => body.item === item);
  }

  // Send an answer as soon as those before it are there. The promise is for those who want to know.
  add(path, body) {
    const place = `${this.#name}${Date.now()}.${String(this.#number++).padStart(6, "0")} ${body.key}`;
    const sent = new Promise((...both) => this.#answers.set(place, both));
    sent.catch(() => undefined); // it is told by "refused"; nobody has to listen here too
    this.#waiting.push({ place, path, body });
    keep(place, { path, body });
    this.#changed();
    this.run();
    return sent;
  }

  // Send all that waits; returns when nothing does.
  async run() {
    if (this.#running) return;
    this.#running = true;
    for (let tries = 0; this.#waiting.length; ) {
      const first = this.#waiting[0];
      try {
        const answer = await api(first.path, { method: "POST", body: first.body });
        tries = 0;
        this.trouble = null;
        this.#settle(first, 0, answer);
      } catch (error) {
        // A visitor who is not known (any more) may come by their link again, and who has not agreed
        // to a consent text that was changed may do so: nothing is dropped.
        if (error instanceof Failure && !passing(error) && error.status !== 401 && error.status !== 403) {
          this.trouble = null;
          this.#settle(first, 1, error);
          this.dispatchEvent(new CustomEvent("refused", { detail: error }));
        } else {
          this.trouble = error;
          this.#changed();
          await pause(tries++);
        }
      }
    }
    this.#running = false;
  }

  #settle(one, which, value) {
    this.#waiting.shift();
    forget(one.place);
    this.#answers.get(one.place)?.[which](value);
    this.#answers.delete(one.place);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

// A browser may keep nothing for a page, by its settings; the answers are then kept in memory alone,
// and `beforeunload` still warns.
function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

function keep(place, value) {
  try {
    storage()?.setItem(place, JSON.stringify(value));
  } catch (error) {
    console.warn(`not kept in the browser: ${error.message}`);
  }
}

function forget(place) {
  storage()?.removeItem(place);
}

// The name of a campaign may hold spaces and begin as another's does: what follows a name in a place
// holds one space, between time and key.
function kept(name) {
  const ours = (place) => place.startsWith(name) && place.slice(name.length).split(" ").length === 2;
  const places = Object.keys(storage() ?? {}).filter(ours);
  return places.sort().map((place) => ({ place, ...JSON.parse(storage().getItem(place)) }));
}
