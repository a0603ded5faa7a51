// The map: every item a dot where its vector lies, on a canvas; pictures over those that have room. Asked for once, when it is looked at first.
const DOT = 2.2, PIN = 52, PINS = 140, NEAR = 24;
let plot = null, view = { zoom: 1, x: .5, y: .5 }, chosen = -1, lights = null, looking = 0;
const pins = new Map(), gone = new Set();
const mapped = () => !at("map").classList.contains("hidden");

// From the map's 0 to 1 to the screen, with room at the edges.
function frame() {
  const box = at("field").getBoundingClientRect(), pad = 30, w = Math.max(1, box.width - 2 * pad), h = Math.max(1, box.height - 2 * pad);
  const ax = w * view.zoom, bx = pad + w * (.5 - view.x * view.zoom), ay = h * view.zoom, by = pad + h * (.5 - view.y * view.zoom);
  return { w: box.width, h: box.height, ax, bx, ay, by, left: n => plot.x[n] * ax + bx, top: n => plot.y[n] * ay + by, pad, inner: [w, h] };
}
const counts = n => !plot.only || plot.modalities[plot.kinds[n]] === plot.only;
function tidy() {
  const room = .5 / view.zoom;
  view.zoom = Math.min(400, Math.max(1, view.zoom));
  for (const axis of ["x", "y"]) view[axis] = Math.min(1 - room, Math.max(room, view[axis]));
  if (view.zoom === 1) view.x = view.y = .5;
}

function draw() {
  if (!plot || !mapped()) return;
  const canvas = at("canvas"), f = frame(), scale = devicePixelRatio || 1, context = canvas.getContext("2d"), style = getComputedStyle(document.body);
  if (canvas.width !== Math.round(f.w * scale) || canvas.height !== Math.round(f.h * scale)) { canvas.width = Math.round(f.w * scale); canvas.height = Math.round(f.h * scale); }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, f.w, f.h);
  const size = DOT * Math.min(3, 1 + Math.log2(view.zoom) / 3) * (plot.rows.length < 300 ? 3 : plot.rows.length < 3000 ? 1.5 : 1);
  plot.modalities.forEach((name, kind) => {
    if (plot.only && plot.only !== name) return;
    context.fillStyle = style.getPropertyValue("--" + name);
    context.globalAlpha = lights ? .22 : .75;
    // Of dots of one kind that cover each other one is enough.
    const wide = Math.ceil(f.w / 2) + 1, taken = new Uint8Array(wide * (Math.ceil(f.h / 2) + 1));
    for (let n = 0; n < plot.x.length; n++) {
      if (plot.kinds[n] !== kind) continue;
      const x = plot.x[n] * f.ax + f.bx, y = plot.y[n] * f.ay + f.by;
      if (x < 0 || y < 0 || x > f.w || y > f.h) continue;
      const cell = (y >> 1) * wide + (x >> 1);
      if (taken[cell]) continue;
      taken[cell] = 1;
      context.fillRect(x - size / 2, y - size / 2, size, size);
    }
  });
  context.globalAlpha = 1;
  for (const n of lights ?? []) if (counts(n)) { context.fillStyle = style.getPropertyValue("--accent"); context.beginPath(); context.arc(f.left(n), f.top(n), size + 2, 0, 7); context.fill(); }
  for (const [n, pin] of pins) place(pin, n, f);
  const ring = at("ring"), show = chosen >= 0 && counts(chosen);
  ring.classList.toggle("hidden", !show);
  if (show) { ring.style.left = f.left(chosen) + "px"; ring.style.top = f.top(chosen) + "px"; ring.classList.toggle("wide", pins.has(chosen)); }
  clearTimeout(looking);
  looking = setTimeout(look, 140);
}
const place = (pin, n, f) => { pin.style.transform = `translate(${f.left(n) - PIN / 2}px, ${f.top(n) - PIN / 2}px)`; };

// Pictures for the dots in view that have room: those that are there stay, the chosen one and what was found come first.
function look() {
  if (!plot || !mapped()) return;
  const f = frame(), taken = {}, kept = new Set(), image = plot.modalities.indexOf("image"), cell = PIN + 4;
  const free = (n) => {
    if (plot.kinds[n] !== image || !counts(n) || gone.has(n) || kept.size >= PINS) return;
    const x = f.left(n), y = f.top(n), column = Math.round(x / cell), row = Math.round(y / cell);
    if (x < 6 || y < 6 || x > f.w - 6 || y > f.h - 6 || kept.has(n)) return;
    for (let i = -1; i <= 1; i++) for (let j = -1; j <= 1; j++) {
      const other = taken[(column + i) + ":" + (row + j)];
      if (other !== undefined && Math.abs(f.left(other) - x) < cell && Math.abs(f.top(other) - y) < cell) return;
    }
    taken[column + ":" + row] = n;
    kept.add(n);
  };
  if (chosen >= 0) free(chosen);
  if (lights) for (const n of lights) free(n);
  else { for (const n of pins.keys()) free(n); for (let n = 0; n < plot.rows.length; n++) free(n); }
  for (const [n, pin] of pins) if (!kept.has(n)) { pin.remove(); pins.delete(n); }
  for (const n of kept) {
    if (pins.has(n)) continue;
    const pin = make("img", { class: "pin", alt: "", loading: "lazy", decoding: "async", draggable: "false", src: "/v1/items/" + plot.rows[n] + "/thumbnail?edge=104" });
    pin.onerror = () => { gone.add(n); pins.delete(n); pin.remove(); };
    pins.set(n, pin);
    place(pin, n, f);
    at("pins").append(pin);
  }
  at("ring").classList.toggle("wide", pins.has(chosen));
}

// What was found is lit, and the rest stands back; null: all alike.
function lit(hits) {
  if (!plot) return;
  const rows = hits?.length ? new Set(hits.map(hit => hit.row)) : null;
  plot.only = kind();
  lights = rows && plot.rows.flatMap((row, n) => rows.has(row) ? [n] : []);
  if (rows && mapped()) { const best = plot.rows.indexOf(hits[0].row); if (best >= 0) choose(best, false); }
  draw();
}

// The dot next to a point of the screen; `along` of a direction: of those that lie that way.
function nearest(x, y, along) {
  const f = frame();
  let best = -1, least = along ? Infinity : NEAR * NEAR;
  for (let n = 0; n < plot.rows.length; n++) {
    if (n === chosen && along || !counts(n)) continue;
    const a = f.left(n) - x, b = f.top(n) - y;
    let far = a * a + b * b;
    if (along) {
      const on = a * along[0] + b * along[1], off = Math.abs(a * along[1]) + Math.abs(b * along[0]);
      if (on <= .01 || off > 1.5 * on) continue;
      far = (on + 2 * off) ** 2;
    }
    if (far < least) { least = far; best = n; }
  }
  return best;
}

async function choose(n, into = true) {
  chosen = n;
  const f = frame();
  if (into && (f.left(n) < 20 || f.top(n) < 20 || f.left(n) > f.w - 20 || f.top(n) > f.h - 20)) { view.x = plot.x[n]; view.y = plot.y[n]; tidy(); }
  draw();
  try {
    const item = await call("/v1/items/" + plot.rows[n]);
    if (chosen !== n) return;
    const hit = found.findIndex(hit => hit.row === item.row);
    at("spot").replaceChildren(card({ ...item, ...(hit < 0 ? {} : { score: found[hit].score, chance: found[hit].chance }) }, null));
    at("spoken").textContent = captioned(item) + (hit < 0 ? "" : ", result " + (hit + 1));
  } catch (e) { say(e.message, true); }
}

function zoom(by, x, y) {
  const f = frame(), before = view.zoom;
  view.zoom *= by;
  view.zoom = Math.min(400, Math.max(1, view.zoom));
  // What lies under the pointer stays there.
  const away = (1 / before - 1 / view.zoom);
  view.x += ((x - f.pad) / f.inner[0] - .5) * away;
  view.y += ((y - f.pad) / f.inner[1] - .5) * away;
  tidy();
  draw();
}
const middle = () => { const f = frame(); return chosen >= 0 ? [f.left(chosen), f.top(chosen)] : [f.w / 2, f.h / 2]; };
const whole = () => { view = { zoom: 1, x: .5, y: .5 }; draw(); };

async function show(map) {
  at("map").classList.toggle("hidden", !map);
  at("results").classList.toggle("hidden", map);
  at("view").setAttribute("aria-pressed", String(map));
  if (!map) return;
  if (!plot) {
    say("Drawing …");
    try {
      const told = await call("/v1/map");
      plot = { ...told, x: Float32Array.from(told.x), y: Float32Array.from(told.y), kinds: Uint8Array.from(told.kinds) };
      say((found.length ? plural(found.length, "result") + " among " : "") + (plot.rows.length < plot.count ? `${plural(plot.rows.length, "item")} of ${plot.count.toLocaleString()}` : plural(plot.count, "item")));
      at("legend").replaceChildren(...plot.modalities.filter((_, k) => plot.kinds.includes(k)).map(name => make("span", { class: name }, NAMES[name])));
    } catch (e) { say(e.message, true); return; }
  }
  lit(found);
  draw();
}
at("view").onclick = () => { const map = !mapped(); show(map).then(() => map && at("field").focus({ preventScroll: true })); };

// Dragging, pinching, and the wheel.
const fingers = new Map();
let moved = false;
at("field").addEventListener("pointerdown", event => {
  if (event.target.closest("button") || !plot) return;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  at("field").setPointerCapture(event.pointerId);
  moved = false;
});
at("field").addEventListener("pointermove", event => {
  const was = fingers.get(event.pointerId);
  if (!was || !plot) return;
  const f = frame(), box = at("field").getBoundingClientRect(), spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
  if (fingers.size === 2) {
    const before = spread();
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    const [a, b] = [...fingers.values()];
    moved = true;
    zoom(spread() / Math.max(before, 1), (a[0] + b[0]) / 2 - box.left, (a[1] + b[1]) / 2 - box.top);
    return;
  }
  const [x, y] = [event.clientX - was[0], event.clientY - was[1]];
  if (!moved && Math.hypot(x, y) < 4) return;
  moved = true;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  view.x -= x / f.inner[0] / view.zoom;
  view.y -= y / f.inner[1] / view.zoom;
  tidy();
  draw();
});
at("field").addEventListener("pointerup", event => {
  if (!fingers.delete(event.pointerId) || moved) return;
  const box = at("field").getBoundingClientRect(), n = nearest(event.clientX - box.left, event.clientY - box.top);
  if (n >= 0) choose(n, false);
});
at("field").addEventListener("pointercancel", event => fingers.delete(event.pointerId));
at("field").addEventListener("wheel", event => {
  if (!plot) return;
  event.preventDefault();
  const box = at("field").getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? .05 : .0016)), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
at("closer").onclick = () => zoom(1.6, ...middle());
at("farther").onclick = () => zoom(1 / 1.6, ...middle());
at("all").onclick = whole;
new ResizeObserver(draw).observe(at("field"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

at("field").addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target !== at("field") || !plot) return;
  const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
  if (way) {
    const f = frame(), n = chosen < 0 || !counts(chosen) ? nearest(f.w / 2, f.h / 2, null) : nearest(...middle(), way);
    // Nothing is near the middle: whatever is nearest to it.
    const any = n >= 0 || chosen >= 0 && counts(chosen) ? n : plot.rows.findIndex((_, i) => counts(i));
    if (any >= 0) choose(any);
  } else if (event.key === "+" || event.key === "=") zoom(1.6, ...middle());
  else if (event.key === "-") zoom(1 / 1.6, ...middle());
  else if (event.key === "0") whole();
  else if (event.key === "Enter") at("spot").querySelector("a")?.click() ?? at("spot").querySelector("audio, video")?.play();
  else if (event.key === "m") at("spot").querySelector(".more")?.click();
  else return;
  event.preventDefault();
});
