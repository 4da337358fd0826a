// Several films that play as one: they begin together, loop together, and the one that falls behind or runs ahead is
// brought back. The longest one is the clock. Knows nothing of takes.

const FAR = 0.25; // seconds apart from which a film jumps instead of hurrying
const APART = 0.04; // more than this is seen
const NEAR = 0.015;

function together({ told = () => {} } = {}) {
  let films = [];
  let playing = false;
  let timer = null;
  let turn = 0; // begins that are overtaken by a later one do nothing

  const lead = () => films.reduce((best, film) => (film.duration > (best ? best.duration : 0) ? film : best), null);
  const length = () => (lead() ? lead().duration : 0);

  // The films that belong together from now on; those that stay are not disturbed unless a new one has come.
  function use(list) {
    const fresh = list.some((film) => !films.includes(film));
    films.filter((film) => !list.includes(film)).forEach((film) => film.pause());
    films = [...list];
    films.forEach((film) => { film.muted = true; film.defaultMuted = true; film.loop = false; });
    if (playing && fresh) begin();
    if (!films.length) rest();
  }

  const ready = (film) => film.readyState >= 3 || film.error
    ? Promise.resolve()
    : new Promise((done) => {
      const over = () => { clearTimeout(late); film.removeEventListener("canplay", over); film.removeEventListener("error", over); done(); };
      const late = setTimeout(over, 3000);
      film.addEventListener("canplay", over);
      film.addEventListener("error", over);
    });

  // All at once, from the beginning or from where they stand.
  async function begin(at = 0) {
    const mine = ++turn;
    playing = true;
    films.forEach((film) => { film.pause(); film.playbackRate = 1; if (Math.abs(film.currentTime - at) > NEAR) film.currentTime = Math.min(at, film.duration || at); });
    watch();
    await Promise.all(films.map(ready));
    if (mine !== turn || !playing) return;
    films.forEach((film) => film.play().catch(() => {}));
  }

  function rest() {
    turn += 1;
    playing = false;
    clearInterval(timer);
    timer = null;
    films.forEach((film) => film.pause());
    told(state());
  }

  function seek(share) {
    const at = share * length();
    if (playing) return begin(at);
    films.forEach((film) => { film.currentTime = Math.min(at, film.duration || at); });
    told({ ...state(), share });
  }

  function watch() {
    if (!timer) timer = setInterval(keep, 80);
  }

  function keep() {
    const first = lead();
    if (!first || !playing || document.hidden) return;
    if (first.ended) return void begin();
    let apart = 0;
    for (const film of films) {
      if (film === first || film.seeking || film.paused || film.ended || !(film.duration > 0)) continue;
      const behind = Math.min(first.currentTime, film.duration) - film.currentTime;
      apart = Math.max(apart, Math.abs(behind));
      if (Math.abs(behind) > FAR) {
        film.currentTime = Math.min(first.currentTime, film.duration);
        film.playbackRate = 1;
      } else if (Math.abs(behind) > APART) film.playbackRate = behind > 0 ? 1.3 : 0.75;
      else if (Math.abs(behind) < NEAR) film.playbackRate = 1;
    }
    told({ ...state(), apart });
  }

  const state = () => ({ playing, share: lead() && length() ? lead().currentTime / length() : 0, apart: 0 });
  const toggle = () => (playing ? rest() : begin(lead() && !lead().ended ? lead().currentTime : 0));

  return { use, begin, rest, seek, toggle, get playing() { return playing; } };
}
