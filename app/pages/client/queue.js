// The queue: everything that was asked for and is not done yet, over all stories; moved, paused and taken out here.

const queue = (() => {
  let body = null;
  let list = null; // the last answer
  let shape = ""; // what the rows depend on but for their progress
  let dragged = null;
  const live = h("p.wn-unseen", { role: "status", "aria-live": "polite" });

  async function open() {
    const now = await ask("queue");
    if (!now) return;
    drawer.open("queue", T("queue.title"), (into) => { body = into; shape = ""; draw(now); }, { after: () => refresh() });
    plan();
  }

  let asking = false;
  async function refresh() {
    if (asking || busy || dragged) return;
    asking = true;
    const now = await ask("queue");
    asking = false;
    if (now && drawer.shows("queue") && !dragged) draw(now);
  }

  async function wish(what, details, said) {
    await act(what, details);
    const now = await ask("queue");
    if (now && drawer.shows("queue")) draw(now);
    if (said) live.textContent = said(now);
  }

  const placeOf = (now, unit) => now.units.filter((one) => one.movable).findIndex((one) => one.unit === unit) + 1;
  const move = (unit, details) => wish("queue_move", { unit, ...details }, (now) => (now ? T("queue.moved", { n: placeOf(now, unit) }) : ""));

  function button(name, unit, label, does, extra) {
    return h("button.wn-mini", { type: "button", "data-key": name + ":" + unit, title: label, "aria-label": label, onclick: does, ...extra }, icon(name));
  }

  function row(one) {
    const text = h("p.wn-queue-text");
    const bar = h("div.wn-bar", { role: "progressbar", "aria-label": one.what, "aria-valuemin": 0 }, h("span.wn-bar-fill"));
    const word = (key, what) => h("button.wn-link", { type: "button", "data-key": key + ":" + one.unit, onclick: () => wish(what, { unit: one.unit }) }, T("queue." + key));
    const item = h("li.wn-queue-item", { "data-unit": one.unit, "data-state": one.state, draggable: one.movable ? "true" : null },
      h("div.wn-queue-order", {}, one.movable ? [
        button("up", one.unit, T("queue.up") + ": " + one.what, () => move(one.unit, { by: -1 }), { disabled: one.first }),
        button("down", one.unit, T("queue.down") + ": " + one.what, () => move(one.unit, { by: 1 }), { disabled: one.last })] : null),
      h("div.wn-queue-what", {},
        h("strong", {}, one.what),
        one.alone ? h("span.wn-small", {}, one.alone) : null,
        one.words ? h("p.wn-queue-words", {}, one.words) : null,
        one.story ? h("button.wn-link.wn-queue-story", { type: "button", "aria-label": T("queue.story", { title: one.story.title }), onclick: () => go(one) }, T("queue.in", { title: one.story.title })) : null,
        text, bar,
        h("div.wn-row.wn-queue-does", {},
          one.pausable ? word("pause", "queue_pause") : null,
          one.resumable ? word("resume", "queue_resume") : null,
          one.cancelling ? null : h("button.wn-link", { type: "button", "data-key": "remove:" + one.unit, onclick: () => wish("queue_remove", { unit: one.unit }) }, T(one.state === "running" ? "queue.stop" : "queue.remove")))));
    if (one.movable) draggable(item, one.unit);
    return item;
  }

  function draggable(item, unit) {
    item.addEventListener("dragstart", (event) => {
      dragged = unit;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", unit);
      item.classList.add("wn-dragged");
    });
    item.addEventListener("dragend", () => {
      dragged = null;
      item.classList.remove("wn-dragged");
      for (const one of body.querySelectorAll("[data-over]")) delete one.dataset.over;
    });
    const below = (event) => event.clientY > item.getBoundingClientRect().top + item.offsetHeight / 2;
    item.addEventListener("dragover", (event) => {
      if (!dragged || dragged === unit) return;
      event.preventDefault();
      item.dataset.over = below(event) ? "below" : "above";
    });
    item.addEventListener("dragleave", () => { delete item.dataset.over; });
    item.addEventListener("drop", (event) => {
      if (!dragged || dragged === unit) return;
      event.preventDefault();
      const from = dragged;
      const names = list.units.filter((one) => one.movable && one.unit !== from).map((one) => one.unit);
      const before = names[names.indexOf(unit) + (below(event) ? 1 : 0)];
      dragged = null;
      move(from, before ? { before } : { by: 1000 });
    });
  }

  function go(one) {
    drawer.shut();
    player.stop();
    act("open", { story: one.story.id, scene: one.scene, reading: null });
  }

  function draw(now) {
    list = now;
    const next = JSON.stringify(now.units.map((one) => ({ ...one, text: "", left: "", step: 0, total: 0, usual: "", waiting: 0 })).concat([now.pausable, now.paused]));
    if (next !== shape) {
      shape = next;
      const focused = body.contains(document.activeElement) ? document.activeElement.dataset.key || "" : "";
      body.replaceChildren(live,
        now.units.length ? h("ol.wn-queue", {}, now.units.map(row)) : h("p", {}, T("queue.empty")),
        h("p.wn-small.wn-queue-left"),
        h("div.wn-row", {},
          now.pausable ? h("button.wn-second", { type: "button", "data-key": "pause-all", onclick: () => wish("queue_pause", {}) }, T("queue.pause_all")) : null,
          now.paused ? h("button.wn-second", { type: "button", "data-key": "resume-all", onclick: () => wish("queue_resume", {}) }, T("queue.resume_all")) : null));
      if (focused) refocus(focused);
    }
    body.querySelector(".wn-queue-left").textContent = now.held_up || now.left;
    now.units.forEach((one, at) => {
      const item = body.querySelectorAll(".wn-queue-item")[at];
      const parts = [one.text, one.left && !one.text.includes(one.left) ? one.left : "", one.waiting ? T("queue.more", { n: one.waiting }) : "", one.held ? T("queue.held_after") : "", one.state !== "running" ? one.usual : ""];
      item.querySelector(".wn-queue-text").textContent = parts.filter(Boolean).join(" · ");
      const bar = item.querySelector(".wn-bar");
      bar.hidden = one.state !== "running";
      bar.classList.toggle("wn-waiting", !one.total);
      bar.setAttribute("aria-valuemax", one.total || 1);
      bar.setAttribute("aria-valuenow", one.step);
      bar.firstChild.style.width = Math.round(100 * Math.max(0.02, one.total ? one.step / one.total : 0)) + "%";
    });
  }

  // The button that was pressed stays under the finger; one that is gone, or off now, leaves it to its neighbour.
  function refocus(key) {
    const unit = key.slice(key.indexOf(":") + 1);
    const find = (name) => [...body.querySelectorAll("[data-key]")].find((one) => one.dataset.key === name && !one.disabled);
    const found = find(key) || ["up", "down", "pause", "resume", "remove"].map((name) => find(name + ":" + unit)).find(Boolean) || body.querySelector("button:not(:disabled)");
    if (found) found.focus({ preventScroll: true });
  }

  addTool({
    order: 10,
    key: (now) => now.queue,
    node: (now) => (now.queue && (now.queue.open > 1 || now.queue.paused)
      ? h("button.wn-quiet.wn-queue-tool", { type: "button", onclick: open }, icon("queue"), h("span.wn-queue-count", {}, now.queue.open === now.queue.paused ? T("queue.tool_paused", { n: now.queue.paused }) : T("queue.tool", { n: now.queue.open })))
      : null),
  });

  return { open };
})();
