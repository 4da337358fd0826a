// The story room: stage, words and strip in their places; the keys; and the first look.

const room = (() => {
  const node = h("div.wn-room", {}, player.node, words.node, strip.node);
  function draw(now, before) {
    if (!before || before.here.story !== now.here.story || before.page !== now.page) {
      player.forget();
      strip.forget();
      words.forget();
    }
    player.draw(now, before);
    strip.draw(now);
    words.draw(now);
    takes.draw(now);
    alone.draw(now);
  }
  return { node, draw };
})();

addKey("Enter", "keys.enter", () => press());
addKey("n", "keys.next", () => { if (words.node.dataset.kind === "rest") words.ask(); });
addKey("ArrowLeft", "keys.before", () => player.step(-1) || strip.step(-1));
addKey("ArrowRight", "keys.after", () => player.step(1) || strip.step(1));
addKey(" ", "keys.play", () => player.toggle());
addKey("p", "keys.play", () => player.toggle());
addKey("f", "keys.full", () => player.fullScreen());

document.addEventListener("keydown", (event) => {
  if (!view || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape" && player.leave()) return;
  if (event.key === "Escape" && takes.severalComing()) return void act("stop_takes");
  if (event.key === "Escape" && view.job) return void act("cancel", { job: view.job.id });
  if (isText(event.target)) return;
  if (event.target.type === "radio" && event.key.startsWith("Arrow")) return; // those choose among the ways
  const onControl = event.target.closest && event.target.closest("button, a, summary");
  const found = keys.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  const does = found && found.when() ? found.does : null;
  const natively = onControl || event.target.tagName === "INPUT";
  if (!does || (event.key === "Enter" && onControl) || (event.key === " " && natively)) return;
  event.preventDefault();
  does();
});

function press() {
  const primary = words.node.querySelector("[data-primary]");
  if (primary) primary.click();
}

look({ ...fromAddress(), hello: true });
