// What every page needs: elements made of text, never of markup; requests; notices; words with chips.
import { COLOURS } from "/static/colours.js";

export const find = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// make("p", { class: "soft", onclick: act }, "text", node, ...): strings become text, null nothing.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

// Put other content into an element.
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; // 0: the studio cannot be reached
  }
}

const cookie = (name) =>
  document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";

async function once(path, method, body, signal) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Lskd-Csrf"] = cookie("lskd_csrf");
  const raw = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = raw ? "application/octet-stream" : "application/json";
  try {
    const content = body === undefined || raw ? body : JSON.stringify(body);
    return await fetch(path, { method, headers, body: content, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "The studio cannot be reached. Is it still running?");
  }
}

// Ask the studio; returns the parsed answer, throws a Failure with its one-line reason.
// `body` is sent as JSON, or as it is if it is a Blob or File.
export async function api(path, { method, body, signal } = {}) {
  const how = method ?? (body === undefined ? "GET" : "POST");
  let answer = await once(path, how, body, signal);
  if (answer.status === 403 && how !== "GET" && (await answer.clone().text()).includes("csrf")) {
    await once("/api/csrf", "GET"); // the studio was started anew and signs with another key
    answer = await once(path, how, body, signal);
  }
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure(answer.status, content.error ?? `The studio answered ${answer.status}.`);
  return content;
}

// Tell something for a few seconds; "bad" is for what went wrong.
export function say(text, kind = "") {
  const notice = make("p", { class: kind }, text);
  find("#notices").append(notice);
  setTimeout(() => notice.remove(), kind === "bad" ? 9000 : 4000);
}

// Wrap an async event handler, so that its failure is told and not lost.
export const told = (act) => (...rest) =>
  Promise.resolve(act(...rest)).catch((error) => {
    if (error.name !== "AbortError") say(error.message, "bad");
  });

// Whether a key is meant for the page, and not for a field, button or dialog that has the focus.
export function forPage(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  const field = "input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]";
  // A field of a dialog that has just closed keeps the focus for a moment.
  const typing = event.target.closest?.(field)?.closest("dialog:not([open])") === null;
  return !typing && !find("dialog[open]");
}

export const colour = (id) => COLOURS[id % COLOURS.length]; // [line and plate, ink on it]

// The number of a region in its colour; `regions` tell what it is, and whether there is one.
export function chip(id, regions) {
  const region = regions?.find((one) => one.id === id);
  if (regions && !region) return make("span", { class: "chip stray", title: "no such region" }, String(id));
  const [paper, ink] = colour(id);
  const plate = make("span", { class: "chip", title: region?.description || region?.label || null, "data-region": id }, String(id));
  plate.style.backgroundColor = paper;
  plate.style.color = ink;
  return plate;
}

const TAG = /\[\s*(?:0|[1-9]\d{0,5})(?:(?:\s*[,;&]\s*(?:and\s+)?|\s+and\s+)(?:0|[1-9]\d{0,5}))*\s*\]/g;

// The nodes of a text, in which "[2]" and "[the woman]" (by its mentions) show as chips.
export function worded(text, regions, mentions = []) {
  const nodes = [];
  let from = 0;
  const put = (match, piece) => {
    nodes.push(text.slice(from, match.index), ...piece);
    from = match.index + match[0].length;
  };
  const pattern = mentions.length ? /\[[^[\]]+\]/g : TAG;
  for (const match of text.matchAll(pattern)) {
    const phrase = match[0].slice(1, -1);
    const meant = mentions.filter((one) => one.phrase === phrase);
    if (meant.length) {
      const line = make("span", { class: "phrase" }, phrase);
      line.style.borderColor = colour(meant[0].region_id)[0];
      put(match, [line, "\u00a0", ...meant.map((one) => chip(one.region_id, regions))]);
    } else if (match[0].match(TAG)?.[0] === match[0]) {
      put(match, match[0].match(/\d+/g).map((digits) => chip(Number(digits), regions)));
    }
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

// The ids of the regions that a text names as "[2]".
export const named = (text) => [
  ...new Set([...text.matchAll(TAG)].flatMap((match) => match[0].match(/\d+/g).map(Number))),
];

// A name for an answer that no other has. crypto.randomUUID is there only on this machine and behind
// TLS; people also come over a network without.
export const unique = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// Put the text of a field into the clipboard; returns whether a browser did so. A page without TLS
// has no clipboard of its own, and copies what is chosen.
export async function copied(field) {
  field.select();
  if (!navigator.clipboard) return document.execCommand("copy");
  return navigator.clipboard.writeText(field.value).then(() => true, () => false);
}

export const count = (number) => new Intl.NumberFormat("en").format(number);
