// One take as a tile: its film, its number, and what can be done with it. The tray and the panel for comparing are made
// of these. Tiles are changed in place, so that films go on playing while the page is redrawn.

ICONS.star = "M12 4.2l2.4 4.9 5.4.8-3.900 3.800.9 5.400L12 16.600l-4.800 2.500.9-5.400L4.200 9.900l5.400-.8z";

function takeTile({ big = false, list }) {
  const film = h("video.wn-take-film", { playsinline: true, muted: true, preload: "auto", tabindex: "-1", "aria-hidden": "true", disablepictureinpicture: true });
  const number = h("span.wn-number");
  const rank = h("span.wn-take-rank");
  let take = null;
  const screen = h("button.wn-take-screen", { type: "button", onclick: () => list.show(take) }, film, number, rank);
  const star = h("button.wn-mini.wn-take-star", { type: "button", onclick: () => act("star_take", { take: take.id, starred: !take.starred }) }, icon("star"));
  const better = h("button.wn-mini", { type: "button", onclick: () => list.move(take, -1, better) }, icon("back"));
  const worse = h("button.wn-mini", { type: "button", onclick: () => list.move(take, 1, worse) }, icon("forth"));
  const bin = h("button.wn-mini", { type: "button", onclick: () => act("trash_take", { take: take.id }) }, icon("bin"));
  const choose = h("button.wn-take-choose", { type: "button", onclick: () => list.choose(take) });
  const verdict = h("p.wn-take-verdict", { hidden: true });
  const node = h("li.wn-take", { draggable: "true" }, screen, choose, h("div.wn-take-tools", {}, star, better, worse, bin), verdict);

  node.addEventListener("dragstart", (event) => {
    list.dragged = take;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", take.id);
    node.classList.add("wn-dragged");
  });
  node.addEventListener("dragend", () => { list.dragged = null; node.classList.remove("wn-dragged"); });
  node.addEventListener("dragover", (event) => {
    if (!list.dragged || list.dragged === take) return;
    event.preventDefault();
    node.classList.add("wn-over");
  });
  node.addEventListener("dragleave", () => node.classList.remove("wn-over"));
  node.addEventListener("drop", (event) => {
    node.classList.remove("wn-over");
    if (!list.dragged || list.dragged.id === take.id) return;
    event.preventDefault();
    list.put(list.dragged, take);
  });

  function draw(next, { at, count, shown, ranked }) {
    take = next;
    node.dataset.take = take.id;
    node.dataset.number = String(take.number);
    node.classList.toggle("wn-take-chosen", take.chosen);
    node.classList.toggle("wn-take-shown", shown && !take.chosen);
    if (film.dataset.clip !== take.clip && take.clip) {
      film.dataset.clip = take.clip;
      if (take.thumb) film.poster = media(take.thumb);
      film.src = media(take.clip);
    }
    write(number, String(take.number));
    write(rank, ranked && take.rank ? "№ " + take.rank : "");
    rank.hidden = !rank.textContent;
    label(screen, T("takes.show", { number: take.number }));
    screen.setAttribute("aria-pressed", String(!!shown));
    write(choose, T(take.chosen ? (big ? "takes.chosen" : "takes.chosen_short") : "takes.choose"));
    choose.setAttribute("aria-label", T("takes.number", { number: take.number }) + ": " + T(take.chosen ? "takes.chosen" : "takes.choose"));
    choose.setAttribute("aria-pressed", String(take.chosen));
    star.setAttribute("aria-pressed", String(take.starred));
    label(star, T(take.starred ? "takes.unstar" : "takes.star", { number: take.number }));
    label(better, T("takes.better", { number: take.number }));
    label(worse, T("takes.worse", { number: take.number }));
    label(bin, T("takes.trash", { number: take.number }));
    better.disabled = at === 0;
    worse.disabled = at === count - 1;
    better.hidden = worse.hidden = count < 2;
    verdict.hidden = !take.verdict;
    if (take.verdict) {
      write(verdict, take.verdict.whose + ": " + take.verdict.text);
      verdict.title = take.verdict.why;
      verdict.dataset.value = take.verdict.value;
    }
  }
  return { node, film, draw };
}

// A take that is not there: waiting, being drawn, or ended without one.
function comingTile(forget) {
  const preview = h("img.wn-take-film", { alt: "", hidden: true });
  const number = h("span.wn-number");
  const text = h("p.wn-take-text");
  const fill = h("span.wn-bar-fill");
  const bar = h("div.wn-bar", { role: "progressbar", "aria-valuemin": 0 }, fill);
  const stop = h("button.wn-second.wn-take-stop", { type: "button", onclick: () => act("cancel", { job: job.id }) });
  const gone = h("button.wn-x", { type: "button", "aria-label": T("takes.dismiss"), onclick: () => forget(job) }, "×");
  const node = h("li.wn-take.wn-take-coming", {}, h("div.wn-take-screen", {}, preview, number), text, bar, stop, gone);
  let job = null;

  function draw(next) {
    job = next;
    const open = job.state === "waiting" || job.state === "drawing" || job.state === "stopping";
    const name = T("takes.of", { number: job.number, count: job.count });
    node.dataset.state = job.state;
    node.dataset.job = job.id;
    write(number, name);
    write(text, job.text);
    bar.hidden = job.state !== "drawing";
    stop.hidden = !open;
    stop.disabled = job.state === "stopping";
    write(stop, T(job.state === "stopping" ? "takes.stopping" : "takes.stop_one"));
    stop.setAttribute("aria-label", name + ": " + T("takes.stop_one"));
    gone.hidden = open;
    const share = job.total ? job.step / job.total : 0;
    fill.style.width = Math.round(100 * Math.max(0.03, share)) + "%";
    bar.setAttribute("aria-label", name);
    bar.setAttribute("aria-valuemax", job.total || 1);
    bar.setAttribute("aria-valuenow", job.step || 0);
    bar.setAttribute("aria-valuetext", job.text);
    bar.classList.toggle("wn-waiting", !job.total);
    preview.hidden = !open || !job.preview;
    if (!preview.hidden && preview.dataset.src !== job.preview) {
      preview.dataset.src = job.preview;
      const fresh = new Image();
      fresh.onload = () => { if (preview.dataset.src === job.preview) preview.src = fresh.src; };
      fresh.src = job.preview;
    }
    preview.style.filter = "blur(" + (Math.max(0, 1 - share) * 1.5).toFixed(1) + "px)";
  }
  return { node, draw };
}

// Only what differs is written: a screen reader hears nothing twice, and nothing flickers.
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
function label(node, text) {
  if (node.getAttribute("aria-label") === text) return;
  node.setAttribute("aria-label", text);
  node.title = text;
}

// `nodes` in this order inside `list`, moving as few as can be: a film that is moved stops.
function arrange(list, nodes) {
  [...list.children].forEach((child) => { if (!nodes.includes(child)) child.remove(); });
  nodes.forEach((node, at) => { if (list.children[at] !== node) list.insertBefore(node, list.children[at] || null); });
}
