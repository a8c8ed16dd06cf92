// Keeps the pages up to date, and gives them keys. They all work without it. What the templates tell it:
//   <body data-after data-events data-every data-pause data-now>  the feed's position, its URL, seconds, the time
//   <… id data-live>  is replaced by the same part of the page when that is requested again. With data-rows it is a
//   list: its rows change in place, its new rows wait; data-ask is the URL for rows that have left it (?id=)
//   <time>, data-since, data-until, data-zone, data-times, data-copy, data-go, data-keys: times, buttons, keys

const page = document.body.dataset;
const find = (css, from = document) => from.querySelector(css);
const get = (url, headers) => fetch(url, { headers, signal: AbortSignal.timeout(30000) });
const parse = (text) => new DOMParser().parseFromString(text, "text/html");
const kept = (() => { try { return localStorage; } catch { return {}; } })(); // without storage: until the page is left

// --- times: UTC, local or relative; durations that keep counting
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { style: "short" });
const zoned = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
const zoneOf = (when) => zoned.formatToParts(when).find((part) => part.type === "timeZoneName").value;
const behind = Date.now() - Date.parse(page.now), now = () => Date.now() - behind; // the server's clock

function timeText(each, utc, when = new Date(each.dateTime)) {
  if (kept.times === "relative") {
    const seconds = (when - now()) / 1000, [unit, size] = UNITS.find((u) => Math.abs(seconds) >= u[1]) ?? UNITS.at(-1);
    return relative.format(Math.trunc(seconds / size), unit);
  }
  if (kept.times !== "local") return utc;
  const all = when.toLocaleString("sv-SE"), zone = zoneOf(when), length = utc.replace(" UTC", "").length;
  const size = length === 14 && all.slice(0, 4) !== each.dateTime.slice(0, 4) ? 19 : length; // another year
  const part = size === 5 ? all.slice(11, 16) : all.slice(-size);
  const above = find("[data-zone]", each.closest("table, section") ?? each)?.textContent ?? zoneOf(now());
  return zone === above && !utc.endsWith(" UTC") ? part : `${part} ${zone}`;
}

function lengthText(milliseconds, two = (number) => `${number}`.padStart(2, "0")) {
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  const [d, h, m] = [86400, 3600, 60].map((size) => Math.floor(s / size));
  return d ? `${d} d ${h % 24} h` : h ? `${h} h ${two(m % 60)} min` : m ? `${m} min ${two(s % 60)} s` : `${s} s`;
}

function write(css, text, root = document) {
  for (const each of root.querySelectorAll(css)) if (each.textContent !== text(each)) each.textContent = text(each);
}

function writeTimes(root = document) {
  const zone = (each) => ({ local: zoneOf(Date.parse(each.dataset.zone) || now()), relative: "relative" })[kept.times];
  write("[data-zone]", (each) => zone(each) ?? "UTC", root); // first: each time then names its zone if it is another
  write("time[datetime]", (each) => timeText(each, (each.dataset.utc ??= each.textContent)), root);
  write("[data-since]", (each) => lengthText(now() - Date.parse(each.dataset.since)), root);
  write("[data-until]", (each) => `in ${lengthText(Date.parse(each.dataset.until) - now())}`, root);
}

// --- changing the page in place
htmx.config.morphIgnore.push("open", "tabindex"); // what a person has opened, and the row in focus
htmx.config.morphSkipChildren = ".detail"; // loaded when it was opened
const ENDED = /FINISHED|EXCEPTION/; // a job in such a state no longer changes
const unseen = new Map(); // by list: what it shows once somebody asks for the new rows

const become = (old, fresh) =>
  old.isEqualNode(fresh) || htmx.swap({ target: old, text: fresh.outerHTML, swap: "outerMorph" });

async function changeRows(list, fresh) {
  const rows = [...fresh.children], shown = new Set([...list.children].map((row) => row.id));
  const last = rows.findLastIndex((row) => shown.has(row.id));
  // When rows leave a full list, older ones follow at its end: those are not new.
  const isNew = (row, at) => !shown.has(row.id) && (at < last || last < 0 || rows.length > shown.size);
  const count = rows.filter(isNew).length;
  if (count) unseen.set(list, { fresh, count }); else unseen.delete(list);
  const left = [...list.children].filter((row) => !rows.some((each) => each.id === row.id));
  const ids = left.filter((row) => !ENDED.test(row.dataset.status)).map((row) => row.id.replace(/\D+/, ""));
  if (list.dataset.ask && ids.length) {
    const answer = await get(`${list.dataset.ask}?${new URLSearchParams(ids.map((id) => ["id", id]))}`);
    const found = parse(`<table>${answer.ok ? await answer.text() : ""}</table>`); writeTimes(found);
    rows.push(...found.querySelectorAll("tr"));
  }
  for (const row of rows) if (shown.has(row.id)) await become(document.getElementById(row.id), row);
}

async function ask() {
  const answer = await get(location.href, { "HX-Request": "true" });
  if (/40[13]/.test(answer.status) || answer.redirected) return location.reload(); // signed out, or a right is gone
  if (answer.status > 403) throw new Error(`The server answered ${answer.status}`);
  const fresh = parse(await answer.text());
  document.title = fresh.title;
  find("#icon").href = find("#icon", fresh).href;
  if (document.hidden || whyPaused()) return void (isDirty = true);
  writeTimes(fresh);
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (other) await ("rows" in part.dataset ? changeRows : become)(part, other);
  }
}

// --- when to update: every two seconds at most, not while paused; seldom while hidden
let isDirty = false, isAsking = false, isAway = "", isHeld = false, askedAt = Date.now(), wentAt = 0, next;
const changed = () => { isDirty = true; plan(); };
const isTyping = (at) => at.matches("textarea, input:not([type=checkbox], [type=radio])");

function whyPaused() {
  const at = document.activeElement;
  if (isHeld) return "until p is pressed again";
  if (isTyping(at) && at.value !== at.defaultValue) return "while you type";
  if (String(getSelection())) return "while text is selected";
  return find("[data-rows] input:checked") ? "while rows are selected" : "";
}

function plan() {
  clearTimeout(next); if (!find("[data-live]")) return;
  const why = whyPaused(), state = why ? "paused" : isAway ? "no answer" : feed.state, title = why || isAway;
  const count = [...unseen.values()].reduce((sum, each) => sum + each.count, 0);
  Object.assign(find("#live"), { textContent: state, title, className: `is-${state.replace(" ", "-")}` });
  Object.assign(find("#new"), { textContent: `${count} new: show`, hidden: !count });
  write("#told", () => `${isAway && "No answer"} ${count ? "There are new rows" : ""}`.trim()); // not each count
  if (isAsking || why) return;
  const quiet = isAway || feed.state === "polling" ? Math.max(5, page.pause) : page.every;
  const seconds = document.hidden ? 30 : isDirty && !isAway ? page.pause : quiet; // hidden: title and icon only
  next = setTimeout(update, Math.max(0, askedAt + 1000 * seconds - Date.now()) + 500 * Math.random());
}

async function update() {
  [isAsking, isDirty, askedAt] = [true, false, Date.now()];
  isAway = await ask().then(() => "", ({ message }) => message || "no answer");
  isAsking = false;
  plan();
}

// --- the stream: one for each tab; over HTTP/1.1, with its six connections, none while hidden
const isScarce = !/^h[23]/.test(performance.getEntriesByType("navigation")[0]?.nextHopProtocol);
const feed = {
  state: "polling", position: page.after, failures: 0, source: null,
  open() {
    clearTimeout(this.again);
    if (this.source || !page.events || (document.hidden && isScarce)) return;
    const source = this.source = new EventSource(`${page.events}&after=${encodeURIComponent(this.position)}`);
    const hear = (event) => {
      this.position = event.lastEventId || this.position;
      if (event.type !== "position") changed();
    };
    for (const kind of ["job", "lock", "log", "reset", "position"]) source.addEventListener(kind, hear);
    source.onopen = () => { [this.state, this.failures] = ["live", 0]; plan(); };
    source.onerror = () => {
      this.state = "polling";
      if (source.readyState === EventSource.CLOSED) { // the browser gives up, as after a proxy's 502
        this.close();
        this.again = setTimeout(() => this.open(), 2000 + Math.random() * Math.min(28000, 2000 * 2 ** this.failures++));
      }
      plan();
    };
  },
  close() { this.source?.close(); [this.source, this.state] = [null, "polling"]; },
};

document.onvisibilitychange = () => { if (document.hidden && isScarce) feed.close(); else feed.open(); changed(); };

// --- keys and buttons
const KEYS = {
  "/": () => find("#search").select(), "?": () => find("#help").togglePopover(), g: () => (wentAt = Date.now()),
  j: (row) => move(row, 1), k: (row) => move(row, -1), Enter: (row) => row?.querySelector("a")?.click(),
  x: (row) => row?.querySelector("input[type=checkbox]")?.click(),
  p: () => { isHeld = !isHeld; plan(); },
  z: () => chooseTimes(find(`[value=${kept.times ?? "utc"}] + option`, find("[data-times]"))?.value ?? "utc"),
};

function move(from, step) {
  const rows = [...document.querySelectorAll("main tbody > *")];
  const row = rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(from) + step))];
  if (row) { row.tabIndex = -1; row.focus(); }
}
const chooseTimes = (times) => { find("[data-times]").value = kept.times = times; writeTimes(); };

async function copy(button, what) {
  if (!navigator.clipboard) return getSelection().selectAllChildren(what); // a browser has none without TLS
  await navigator.clipboard.writeText(what.textContent);
  button.textContent = "Copied";
}

document.addEventListener("keydown", (event) => {
  const { key, target } = event, isOff = kept.keys === "off" || event.ctrlKey || event.metaKey || event.altKey;
  if (isOff || isTyping(target) || target.matches(key === "Enter" ? "a, button, select, summary" : "select")) return;
  const place = Date.now() - wentAt < 2000 && find(`[data-go="${CSS.escape(key)}"]`);
  if (!place && !Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  if (place) place.click(); else KEYS[key](target.closest("main tbody > *"));
});
document.addEventListener("click", ({ target }) => {
  if (target.id === "new") {
    for (const [list, { fresh }] of unseen) htmx.swap({ target: list, text: fresh.innerHTML, swap: "innerHTML" });
    unseen.clear(); plan();
  }
  if (target.closest("[data-copy]")) copy(target, find(target.dataset.copy));
});
document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-times]")) chooseTimes(target.value);
  if (target.matches("[data-keys]")) kept.keys = target.checked ? "on" : "off";
});
for (const kind of ["selectionchange", "input", "change", "focusout"]) document.addEventListener(kind, () => plan());

document.documentElement.classList.add("scripted"); // shows what needs a script
find("[data-keys]").checked = kept.keys !== "off";
chooseTimes(kept.times ?? "utc");
setInterval(() => String(getSelection()) || writeTimes(), 1000);
feed.open(); plan();
