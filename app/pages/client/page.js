// The heart of the page: one view from the server, drawn by the parts below. Runs inside a gr.HTML component, which gives
// `element`, `server` and `upload`. Words of people and models only ever become text nodes, never markup.

const root = element.querySelector(".wn");
const say = root.querySelector(".wn-live");
const top_ = root.querySelector(".wn-top");
const main = root.querySelector(".wn-main");
const toast = root.querySelector(".wn-notice");

let view = null; // the last view from the server
let busy = 0; // actions that are under way
let flying = 0; // answers that are waited for
let asked = 0; // views that were asked for; an answer that comes late is thrown away
let pollTimer = null;
let offline = 0;
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

// Small builder: h("button.wn-x", {onclick, "aria-label": ...}, "text", child)
function h(what, props, ...kids) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value") node.value = value;
    else if (key === "style") node.style.cssText = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const kid of kids.flat()) if (kid !== null && kid !== undefined && kid !== false) node.append(kid);
  return node;
}

// Names of models, parts and machines: the same in every language.
const given = (text) => h("span", { translate: "no" }, text);

// Icons are drawn here, once; paths are ours.
const ICONS = {
  play: "M8 5.2v13.6c0 .8.9 1.3 1.5.8l10-6.8c.6-.4.6-1.2 0-1.6l-10-6.8c-.6-.5-1.5 0-1.5.8z",
  pause: "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z",
  help: "M9.2 9.200a2.900 2.900 0 1 1 4.300 2.600c-1 .6-1.500 1.200-1.500 2.200m0 3.200v.1M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17z",
  again: "M12 5a7 7 0 1 1-6.6 4.7M5 4v5.4h5.4",
  stop: "M7 7h10v10H7z",
  copy: "M8.500 8.500h10v10h-10zM5.500 15.500v-10h10",
  recipe: "M6.500 4.500h8l3 3v12h-11zM9 10.500h6M9 13.500h6M9 16.500h3.500",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  back: "M14.5 5 8 12l6.5 7",
  forth: "M9.5 5 16 12l-6.5 7",
  save: "M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19.5h14",
  pencil: "m5 19 .9-3.9L16.2 4.8a1.7 1.7 0 0 1 2.4 0l.6.6a1.7 1.7 0 0 1 0 2.4L8.9 18.1z",
  bin: "M5 7h14M10 7V4.8h4V7m-7.5 0 .8 12.2h9.4L17.500 7M10 10.500v5.500m4-5.500v5.500",
  book: "M12 6.500C10 5 7 4.600 4 5v13c3-.4 6 0 8 1.500 2-1.500 5-1.900 8-1.500V5c-3-.4-6 0-8 1.500zm0 0v13",
  branch: "M7 4.500v15M7 14c0-4 10-2 10-8.500M17 5.500 14.500 8M17 5.500 19.500 8",
  queue: "M9 6.500h11M9 12h11M9 17.500h11M4.500 6.500h.01M4.500 12h.01M4.500 17.500h.01",
  up: "m6 14.500 6-6 6 6",
  down: "m6 9.500 6 6 6-6",
  machine: "M4 5.500h16v10H4zM9 19.500h6M12 15.500v4",
  picture: "M4 6.500A1.500 1.500 0 0 1 5.500 5h13A1.500 1.500 0 0 1 20 6.500v11a1.500 1.500 0 0 1-1.500 1.500h-13A1.500 1.500 0 0 1 4 17.500zM4 16l4.500-4.500 4 4 2.500-2.500 5 5M15.500 9.500h.01",
};
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", ["play", "pause", "stop"].includes(name) ? "wn-icon wn-solid" : "wn-icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

// The words of the page, from app/languages: T("shelf.num_scenes", {n: 3}). A text may have a form for one and for many.
const plurals = new Intl.PluralRules(CATALOGUE["language.code"] || "en");
function T(key, values) {
  let text = CATALOGUE[key];
  if (text && typeof text === "object") text = text[plurals.select((values || {}).n)] || text.other;
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (values && name in values ? String(values[name]) : whole));
}

const media = (name) => (name ? "/media/" + encodeURIComponent(name) : "");
const plural = (n, one, many) => n + " " + (n === 1 ? one : many);
const isText = (node) => !!node && (/^(TEXTAREA|SELECT)$/.test(node.tagName || "") || (node.tagName === "INPUT" && !/^(radio|checkbox)$/.test(node.type)));

function announce(text) {
  if (say.textContent !== text) say.textContent = text;
}

let toastTimer = null;
function tell(notice) {
  clearTimeout(toastTimer);
  toast.replaceChildren();
  toast.hidden = !notice;
  if (!notice) return;
  toast.dataset.kind = notice.kind || "info";
  toast.append(h("p", {}, notice.text));
  if (notice.known && notice.known.length) {
    toast.append(h("ul.wn-known", {}, notice.known.map((word) => h("li", {}, word))));
  }
  if (notice.typed) toast.append(h("blockquote.wn-typed", {}, T("wander.typed", { text: notice.typed })));
  if (notice.action) {
    toast.append(h("button.wn-link", { type: "button", onclick: () => act(notice.action.do, notice.action.with) }, notice.action.label));
  }
  toast.append(h("button.wn-x", { type: "button", "aria-label": T("page.close_message"), onclick: () => tell(null) }, "×"));
  if (notice.kind !== "error") toastTimer = setTimeout(() => tell(null), 9000);
}

// Talking with the server ------------------------------------------------------------------------------------------

function here() {
  return view && view.here ? view.here : fromAddress();
}

function fromAddress() {
  const query = new URLSearchParams(location.search);
  return { story: query.get("story"), scene: query.get("scene"), reading: query.get("reading") };
}

async function call(name, message) {
  const mine = ++asked;
  let answer = null;
  clearTimeout(pollTimer); // what was asked for now must not be overtaken by the page's own looking
  flying += 1;
  try {
    answer = await server[name](message);
    if (!answer || !answer.here) throw new Error("no view");
  } catch (error) {
    offline += 1;
    if (offline > 1 || name === "act") {
      tell({ kind: "error", text: T("page.no_answer") });
    }
    answer = null;
  }
  flying -= 1;
  if (!answer) {
    plan();
    return null;
  }
  const back = offline > 0 && toast.dataset.kind === "error";
  offline = 0;
  if (mine === asked) show(answer);
  if (back) tell({ kind: "info", text: T("page.back") });
  plan();
  return answer;
}

// Which version of the story the person has seen: what was changed in another window is not written over unseen.
function seen(details) {
  const story = view && view.story;
  return story && (!details || !details.story || details.story === story.id) ? { seen: story.version } : {};
}

// What is pressed while something else is under way is not for the page that will be there then, and is let go; a
// story or a scene that was pressed is named by itself, and opens when the other is done.
let underWay = null;
async function act(what, details) {
  if (busy && what === "open") await underWay;
  if (busy) return null;
  busy += 1;
  let over = null;
  underWay = new Promise((done) => { over = done; });
  root.classList.add("wn-busy");
  clearTimeout(pollTimer);
  try {
    return await call("act", { ...here(), ...seen(details), ...(details || {}), do: what });
  } finally {
    busy -= 1;
    root.classList.remove("wn-busy");
    over();
    plan();
  }
}

// What a panel shows: a question that changes nothing. null when there is no answer; why is said on the page.
async function ask(what, details) {
  let answer = null;
  try {
    answer = await server.ask({ ...here(), ...(details || {}), ask: what });
  } catch (error) {
    answer = { error: T("page.no_answer") };
  }
  if (answer && !answer.error) return answer;
  tell({ kind: "error", text: (answer && answer.error) || T("page.no_answer") });
  return null;
}

const look = (where) => call("look", where || here());

// Only while something is under way does the page ask again.
function plan() {
  clearTimeout(pollTimer);
  const working = view && (view.job || view.elsewhere || view.engine.waking || view.queue.open);
  if (busy || flying || (!working && !offline)) return;
  const wait = offline ? Math.min(5000, 700 * offline) : pace();
  pollTimer = setTimeout(() => look(), wait);
}

// How soon there may be something new to see. The first word and the first picture of what was just asked for are
// waited for; what waits its turn, or goes on elsewhere, is looked after now and then.
let pacedJob = "";
let pacedSince = 0;
function pace() {
  const job = view.job;
  if (!job && view.takes && view.takes.working) return 300; // takes in the tray
  if (!job) return drawer.shows("queue") ? 700 : view.elsewhere || view.engine.waking ? 1500 : 3000;
  if (job.id !== pacedJob) [pacedJob, pacedSince] = [job.id, Date.now()];
  if (job.state !== "running") return job.state === "paused" ? 3000 : Date.now() - pacedSince < 4000 ? 150 : 700;
  const shown = job.preview || job.alternatives.some((one) => one.text);
  return shown || Date.now() - pacedSince > 6000 ? 300 : 150;
}

function show(next) {
  const before = view;
  view = next;
  if (next.notice) tell(next.notice);
  else if (before && JSON.stringify(before.here) !== JSON.stringify(next.here) && toast.dataset.kind !== "info") tell(null);
  rememberPlace(before, next);
  const part = next.page === "room" ? "room" : "home";
  if (main.dataset.part !== part) {
    main.dataset.part = part;
    main.replaceChildren(part === "room" ? room.node : home.node);
    window.scrollTo(0, 0);
  }
  drawTop();
  engineNote.draw(next);
  (part === "room" ? room : home).draw(next, before);
  document.title = (next.story ? next.story.title + " · " : "") + T("page.name");
  drawer.told(next);
  for (const does of watchers) does(next, before);
  root.dataset.ready = "yes";
  plan();
}

// The address says which story and scene are open, so that a refresh, a bookmark and the back button find them.
function rememberPlace(before, next) {
  const query = new URLSearchParams();
  if (next.here.story) query.set("story", next.here.story);
  if (next.here.scene) query.set("scene", next.here.scene);
  if (next.here.reading) query.set("reading", next.here.reading);
  const address = location.pathname + (query.size ? "?" + query : "");
  if (address === location.pathname + location.search) return;
  const moved = before && before.here.story !== next.here.story && !before.here.reading;
  history[moved ? "pushState" : "replaceState"](null, "", address);
}
window.addEventListener("popstate", () => {
  player.stop();
  look(fromAddress());
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && view && (view.job || offline)) look();
});

// Head of the page -------------------------------------------------------------------------------------------------

// What other parts bring to the head of the page: {order, key(view) -> what it depends on, node(view) -> button or null}.
const tools = [];
function addTool(tool) {
  tools.push(tool);
  tools.sort((one, other) => one.order - other.order);
}

// Who wants to know of each new view: watch((now, before) => …).
const watchers = [];
function watch(does) {
  watchers.push(does);
}

// Keys of the room: addKey("m", "keys.map", does). `when` is asked first. The list behind "?" is made of these.
const keys = new Map();
function addKey(key, says, does, when = () => view.page === "room") {
  keys.set(key, { says, does, when });
}

let topKey = "";
function drawTop() {
  const key = JSON.stringify([view.story, view.engine, view.page, view.reel, tools.map((tool) => (tool.key ? tool.key(view) : null))]);
  if (key === topKey) return;
  const title = top_.querySelector(".wn-title");
  if (title && title === document.activeElement && view.story && title.dataset.story === view.story.id) return; // later: nobody's typing is taken away
  topKey = key;
  const parts = [
    h("button.wn-brand", { type: "button", onclick: () => goHome(), "aria-label": T("page.name") + " " + T("page.all_stories") }, sun(), h("span", {}, T("page.name"))),
  ];
  if (view.story) parts.push(titleField(view.story));
  else parts.push(h("span.wn-grow"));
  if (view.engine && view.engine.text) {
    parts.push(h("span.wn-engine", { "data-state": view.engine.state, title: view.engine.title || null }, view.engine.text));
  }
  parts.push(...tools.map((tool) => tool.node(view)).filter(Boolean));
  if (view.page === "room") {
    parts.push(h("button.wn-quiet", { type: "button", onclick: () => goHome() }, icon("book"), h("span", {}, T("page.all_stories"))));
    if (view.reel) {
      parts.push(h("a.wn-quiet.wn-reel", { href: view.reel, download: "" , title: T("page.film_title") }, icon("save"), h("span", {}, T("page.film"))));
    }
  }
  top_.replaceChildren(...parts);
}

function sun() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "wn-sun");
  const add = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    svg.append(node);
  };
  add("circle", { cx: 16, cy: 15, r: 7.5, class: "wn-sun-disc" });
  add("path", { d: "M1 23c5-5 9-5 13-1s10 4 17-2v12H1z", class: "wn-sun-hill" });
  return svg;
}

function titleField(story) {
  const field = h("input.wn-title", { type: "text", value: story.title, "aria-label": T("page.story_title"), maxlength: 120, spellcheck: "false", "data-story": story.id });
  const keep = () => {
    const title = field.value.trim();
    if (title && title !== story.title) act("rename", { story: story.id, title, was: story.title, from: "room" });
    else field.value = story.title;
    drawTop(); // what came meanwhile
  };
  field.addEventListener("blur", keep);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") field.blur();
    if (event.key === "Escape") {
      field.value = story.title;
      field.blur();
    }
    event.stopPropagation();
  });
  return field;
}

function goHome() {
  player.stop();
  return look({});
}

function openScene(scene) {
  if (!view.here.story || scene === view.here.scene) return;
  player.stop();
  act("open", { scene });
}
