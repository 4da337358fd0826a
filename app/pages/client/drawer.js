// One panel that slides in from the side and holds whatever is asked for: the map, the queue, a recipe. A native dialog,
// so that focus stays inside, Escape closes it and the page behind is silent to a screen reader.

const drawer = (() => {
  const title = h("h2.wn-drawer-title", { id: "wn-drawer-title" });
  const close = h("button.wn-x", { type: "button", "aria-label": T("drawer.close"), onclick: () => shut() }, "×");
  const body = h("div.wn-drawer-body");
  const node = h("dialog.wn-drawer", { "aria-labelledby": "wn-drawer-title" }, h("div.wn-drawer-head", {}, title, close), body);
  let name = "";
  let refill = null; // called after each new view while the drawer is open
  const home = [toast.parentNode, toast.nextSibling]; // a notice behind the panel would be neither seen nor heard

  node.addEventListener("close", () => {
    name = "";
    refill = null;
    body.replaceChildren();
    home[0].insertBefore(toast, home[1]);
  });
  node.addEventListener("click", (event) => { if (event.target === node) shut(); }); // beside it
  node.addEventListener("keydown", (event) => event.stopPropagation()); // the room's keys rest meanwhile
  root.append(node);

  // `fill(body)` draws the content; `after(view, body)` is told of every view that comes while it is open.
  function open(which, heading, fill, { wide = false, after = null } = {}) {
    title.textContent = heading;
    body.replaceChildren();
    node.dataset.name = name = which;
    node.classList.toggle("wn-wide", wide);
    refill = after;
    fill(body);
    if (node.open) return;
    node.insertBefore(toast, body);
    node.showModal();
  }
  function shut() {
    if (node.open) node.close();
  }
  return { open, shut, body: () => body, shows: (which) => node.open && name === which, told: (now) => { if (refill && node.open) refill(now, body); } };
})();
