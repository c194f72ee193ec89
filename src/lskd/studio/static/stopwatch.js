// Seconds in which the page was in view since the watch was started.
export class Stopwatch {
  #spent = 0;
  #since = null;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      this.#spent = this.#total();
      this.#since = document.hidden ? null : performance.now();
    });
  }

  start() {
    this.#spent = 0;
    this.#since = document.hidden ? null : performance.now();
  }

  get seconds() {
    return Math.min(this.#total() / 1000, 86400);
  }

  #total() {
    return this.#spent + (this.#since === null ? 0 : performance.now() - this.#since);
  }
}
