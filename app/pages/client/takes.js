// The takes of the scene that is shown: a tray under the stage, in which they play together, are chosen, starred, put in
// order and thrown away, and in which those that are being drawn grow. Also how many takes a drawing asks for.

const takes = (() => {
  const title = h("h3.wn-takes-title", { id: "wn-takes-title" }, T("takes.title"));
  const playing = h("button.wn-quiet.wn-takes-play", { type: "button", onclick: () => keepPlaying(!clock.playing) });
  const compare = h("button.wn-quiet", { type: "button", onclick: () => comparison.open() }, T("takes.compare"));
  const trashed = h("button.wn-link.wn-small.wn-takes-trash", { type: "button", onclick: () => comparison.trash() });
  const head = h("div.wn-takes-head", {}, title, playing, compare);
  const groupText = h("p.wn-takes-progress");
  const groupFill = h("span.wn-bar-fill");
  const stop = h("button.wn-second.wn-takes-stop", { type: "button", onclick: () => act("stop_takes") }, T("takes.stop_keep"));
  const group = h("div.wn-takes-group", { hidden: true }, h("div.wn-row", {}, groupText, stop), h("div.wn-bar", { "aria-hidden": "true" }, groupFill));
  const tray = h("ol.wn-takes-list");
  const more = h("div.wn-row.wn-takes-more");
  const node = h("section.wn-takes", { "aria-labelledby": "wn-takes-title", hidden: true }, head, group, tray, more);
  player.below.append(node);

  const tiles = new Map(); // take or job -> tile
  const clock = together({ told: (state) => { node.dataset.apart = String(Math.round(1000 * state.apart)); sayPlaying(); } });
  let seen = null; // the take that is shown large without being chosen
  let scene = null;
  let told = null; // takes that were there when the page last looked

  // how many ------------------------------------------------------------------------------------------------------

  function remembered(name) {
    try {
      const many = Number(localStorage.getItem("wn:takes:" + name));
      return Number.isInteger(many) && many >= 1 && many <= 8 ? many : 1;
    } catch (error) { return 1; }
  }

  // A small choice of 1 to 8 beside a button that draws.
  function chooser(name = "first") {
    const select = h("select.wn-takes-many", { id: "wn-takes-" + name, "aria-label": T("takes.how_many") },
      [1, 2, 3, 4, 5, 6, 7, 8].map((many) => h("option", { value: String(many) }, many === 1 ? T("takes.one") : T("takes.many", { n: many }))));
    select.value = String(remembered(name));
    select.addEventListener("change", () => {
      try { localStorage.setItem("wn:takes:" + name, select.value); } catch (error) { /* a private window */ }
    });
    return select;
  }
  const wanted = (name = "first") => {
    const select = root.querySelector("#wn-takes-" + name);
    return select ? Number(select.value) : remembered(name);
  };

  more.append(h("button.wn-second", { type: "button", onclick: () => act("draw_more", { takes: wanted("more") }) }, T("takes.draw_more")), chooser("more"), trashed);

  // choosing ------------------------------------------------------------------------------------------------------

  const list = {
    dragged: null,
    show(take) {
      seen = take.id;
      player.peek(take);
      announce(T("takes.shown", { number: take.number }));
      draw(view);
    },
    async choose(take) {
      const peeking = seen !== null;
      seen = null;
      if (!take.chosen && (await act("choose_take", { take: take.id }))) announce(T("takes.now_chosen", { number: take.number }));
      if (peeking) player.peek(null);
      draw(view);
    },
    async order(ids, take, place) {
      if (await act("rank_takes", { order: ids })) announce(T("takes.moved", { number: take.number, place }));
    },
    async move(take, by, button) {
      const ids = view.takes.takes.map((one) => one.id);
      const at = ids.indexOf(take.id);
      if (at + by < 0 || at + by >= ids.length) return;
      ids.splice(at + by, 0, ...ids.splice(at, 1));
      await list.order(ids, take, at + by + 1);
      if (!button.disabled) button.focus({ preventScroll: true });
      else (button.nextElementSibling || button.previousElementSibling).focus({ preventScroll: true });
    },
    put(take, before) {
      const ids = view.takes.takes.map((one) => one.id);
      const to = ids.indexOf(before.id);
      ids.splice(ids.indexOf(take.id), 1);
      ids.splice(to, 0, take.id);
      return list.order(ids, take, to + 1);
    },
  };

  const all = () => (view && view.takes ? view.takes.takes : []);
  const shown = () => all().find((take) => take.id === seen) || all().find((take) => take.chosen) || null;
  const starShown = () => { const take = shown(); if (take) act("star_take", { take: take.id, starred: !take.starred }); };
  const pick = (number) => { const take = all().find((one) => one.number === number); if (take) list.choose(take); };
  const several = () => view.page === "room" && all().length > 1;
  for (let number = 1; number <= 8; number += 1) addKey(String(number), "keys.take", () => pick(number), several);
  addKey("s", "keys.star", starShown, () => view.page === "room" && all().length > 0);

  // playing together ----------------------------------------------------------------------------------------------

  let asked = null; // true or false once the person has said so
  const willPlay = () => (asked === null ? !calm.matches : asked);
  function keepPlaying(on) {
    asked = on;
    if (on) clock.begin();
    else clock.rest();
    sayPlaying();
  }
  function sayPlaying() {
    const on = clock.playing;
    if (playing.dataset.on === String(on)) return;
    playing.dataset.on = String(on);
    playing.replaceChildren(icon(on ? "pause" : "play"), h("span", {}, T(on ? "takes.pause" : "takes.play")));
  }
  // the story has the stage for itself while it plays
  new MutationObserver(() => settle()).observe(root, { attributes: true, attributeFilter: ["class"] });
  function settle() {
    const may = !node.hidden && !tray.hidden && willPlay() && !root.classList.contains("wn-playing") && !drawer.shows("compare");
    if (may && !clock.playing && all().length > 1) clock.begin();
    else if (!may && clock.playing) clock.rest();
  }

  // drawing -------------------------------------------------------------------------------------------------------

  const hidden = new Set();
  function forget(job) {
    hidden.add(job.id);
    try { sessionStorage.setItem("wn:ended:" + job.id, "1"); } catch (error) { /* a private window */ }
    draw(view);
  }
  function isHidden(job) {
    if (job.state !== "failed" && job.state !== "cancelled") return false;
    try { return hidden.has(job.id) || !!sessionStorage.getItem("wn:ended:" + job.id); } catch (error) { return hidden.has(job.id); }
  }

  function tile(key, make) {
    if (!tiles.has(key)) tiles.set(key, make());
    return tiles.get(key);
  }

  function draw(now) {
    const given = now.takes;
    if (!given || given.scene !== scene) {
      scene = given ? given.scene : null;
      told = null;
      seen = null;
      tiles.clear();
      tray.replaceChildren();
      clock.use([]);
    }
    node.hidden = !given;
    if (!given) return;
    const coming = given.jobs.filter((job) => !isHidden(job));
    const count = given.takes.length + coming.length;
    if (seen && !given.takes.some((take) => take.id === seen)) {
      seen = null;
      player.peek(null);
    }
    node.hidden = count < 2 && !given.more && !given.trashed;
    tray.hidden = head.hidden = count < 2;
    compare.hidden = playing.hidden = given.takes.length < 2;
    more.hidden = !given.more && !given.trashed;
    [...more.children].forEach((child) => { if (child !== trashed) child.hidden = !given.more; });
    trashed.hidden = !given.trashed;
    write(trashed, T("takes.in_trash", { n: given.trashed }));
    group.hidden = !given.group || count < 2;
    if (given.group) {
      write(groupText, given.group.text);
      groupFill.style.width = Math.round(100 * Math.max(0.02, given.group.share)) + "%";
    }
    const ranked = given.takes.some((take) => take.rank);
    const up = shown();
    const nodes = tray.hidden ? [] : [
      ...given.takes.map((take, at) => {
        const one = tile(take.id, () => takeTile({ list }));
        one.draw(take, { at, count: given.takes.length, shown: !!up && up.id === take.id, ranked });
        return one.node;
      }),
      ...coming.map((job) => {
        const one = tile(job.id, () => comingTile(forget));
        one.draw(job);
        return one.node;
      }),
    ];
    arrange(tray, nodes);
    clock.use(tray.hidden ? [] : given.takes.map((take) => tiles.get(take.id).film));
    settle();
    sayPlaying();
    const fresh = given.takes.filter((take) => told && !told.has(take.id));
    if (fresh.length && given.group) announce(T("takes.drawn", { number: fresh[0].number }));
    told = new Set(given.takes.map((take) => take.id));
  }

  const severalComing = () => !!(view.takes && view.takes.group && view.takes.group.count > 1);

  return { draw, chooser, wanted, list, shown, all, pick, starShown, settle, severalComing };
})();
