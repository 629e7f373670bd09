/* Runs exported operators on the page docs/play.md. Nothing is fetched: runtime and models are scripts.

   play.py writes the data of an operator; `spec` is its header. The function that is drawn is kept in
   `drawn`, at the sensors; `seen` is what the network gets of it. */
"use strict";

(() => {
  const HOME = document.currentScript.src.replace(/[^/]*$/, "");
  const FIRST_CHARACTER = 0x3400; // as in play.py
  const STEPS = 1000; // of a slider
  const SNAP = 8; // steps from a value whose reference is known
  const root = document.getElementById("playground");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const operators = new Map(); // name → { spec, arrays, session }
  const times = []; // of answers, in ms, from the event to the picture
  let at = null; // what is shown: an operator, with the function that is drawn and where its handle is
  let dirty = false;
  let busy = false;
  let since = 0;

  // Data.

  function added(source) {
    return new Promise((done, failed) => {
      const element = document.createElement("script");
      element.src = source;
      element.onload = done;
      element.onerror = () => failed(new Error(`${source} does not load`));
      document.head.append(element);
    });
  }

  /** Bytes of a string of 15 bits a character. */
  function bytes([size, text]) {
    const found = new Uint8Array(size);
    let kept = 0;
    let bits = 0;
    let place = 0;
    for (let i = 0; i < text.length && place < size; i++) {
      kept = (kept << 15) | (text.charCodeAt(i) - FIRST_CHARACTER);
      bits += 15;
      while (bits >= 8 && place < size) {
        bits -= 8;
        found[place++] = kept >> bits;
      }
      kept &= (1 << bits) - 1;
    }
    return found;
  }

  /** The header and the parts that `packed` of play.py wrote. */
  async function unpacked(name) {
    await added(`${HOME}${name}.js`);
    const stream = new Blob([bytes(self.hopData[name])]).stream();
    const plain = stream.pipeThrough(new DecompressionStream("gzip"));
    const data = await new Response(plain).arrayBuffer();
    delete self.hopData[name];
    const size = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, size)));
    let from = 4 + size;
    const parts = header.parts.map((length) => data.slice(from, (from += length)));
    return { header, parts };
  }

  let runtime = null;
  /** ONNX Runtime, on this thread: no other can be assumed. */
  function started() {
    runtime ??= unpacked("runtime").then(async ({ parts: [code, module, wasm] }) => {
      const address = (part, type) => URL.createObjectURL(new Blob([part], { type }));
      await added(address(code, "text/javascript"));
      const wasmPaths = {
        mjs: address(module, "text/javascript"),
        wasm: address(wasm, "application/wasm"),
      };
      Object.assign(self.ort.env.wasm, { numThreads: 1, wasmPaths });
      self.ort.env.logLevel = "error";
    });
    return runtime;
  }

  async function operator(name) {
    if (!operators.has(name)) {
      const [{ header, parts }] = await Promise.all([unpacked(name), started()]);
      const floats = new Float32Array(parts[0]);
      let from = 0;
      const arrays = header.arrays.map((length) => floats.slice(from, (from += length)));
      // Programs of so few operators are answered as fast without a search for a better graph.
      const session = await self.ort.InferenceSession.create(new Uint8Array(parts[1]), {
        graphOptimizationLevel: "disabled",
      });
      operators.set(name, { spec: header, arrays, session });
    }
    return operators.get(name);
  }

  // Functions. "Plain" values are those of the Gaussian field that a law is made of.

  const bump = (x) => 16 * x * x * (1 - x) * (1 - x);
  const MAPS = {
    "": { drawn: (g) => g, plain: (v) => v, range: (size) => [-1.2 * size, 1.2 * size] },
    periodic: { drawn: (g) => g, plain: (v) => v, range: (size) => [-1.2 * size, 1.2 * size] },
    tanh: { drawn: Math.tanh, plain: Math.atanh, range: () => [-0.9999, 0.9999] },
    bump: { drawn: Math.exp, plain: Math.log, range: (size) => [0.2, Math.exp(1.1 * size)] },
  };

  /** The mean over the circle, whose two ends are one sensor. */
  const mean = (values) => values.slice(1).reduce((sum, v) => sum + v, 0) / (values.length - 1);

  function seen({ spec, arrays, drawn }) {
    if (spec.map === "periodic") {
      const m = mean(drawn);
      return drawn.map((v) => v - m);
    }
    return spec.map === "bump" ? drawn.map((v, i) => v * bump(arrays[spec.sensors][i])) : drawn;
  }

  function normal() {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  }

  /** A function from the law, by its coefficients in eigenfunctions of −Δ. */
  function random({ spec, arrays }) {
    const std = spec.deviations;
    const periodic = spec.map === "periodic";
    const drawn = std.map((s) => s * normal());
    const values = arrays[spec.sensors].map((x) =>
      drawn.reduce((sum, c, j) => {
        if (!periodic) return sum + c * (j ? Math.SQRT2 * Math.cos(j * Math.PI * x) : 1);
        const half = std.length / 2; // cosines, then sines
        const angle = 2 * Math.PI * ((j % half) + 1) * x;
        return sum + c * Math.SQRT2 * (j < half ? Math.cos(angle) : Math.sin(angle));
      }, 0),
    );
    return values.map(MAPS[spec.map].drawn);
  }

  /** Raises the drawn function by `rise` at x, and less beside. */
  function raise(x, rise) {
    const { spec, arrays, drawn } = at;
    const [low, high] = MAPS[spec.map].range(spec.size);
    arrays[spec.sensors].forEach((s, i) => {
      let far = Math.abs(s - x);
      if (spec.map === "periodic") far = Math.min(far, 1 - far);
      const moved = drawn[i] + rise * Math.exp(-0.5 * (far / spec.brush) ** 2);
      drawn[i] = Math.min(high, Math.max(low, moved));
    });
    at.example = null;
  }

  function interpolated(xs, values, x) {
    const place = Math.min(Math.max(x, 0), 1) * (xs.length - 1);
    const i = Math.min(Math.floor(place), xs.length - 2);
    return values[i] + (place - i) * (values[i + 1] - values[i]);
  }

  /** What of the drawn function is beyond the law, in words; or "". */
  function outside({ spec, drawn }) {
    const plain = Array.from(drawn, MAPS[spec.map].plain);
    const centre = spec.map === "periodic" ? mean(plain) : 0;
    const size = Math.max(...plain.map((v) => Math.abs(v - centre)));
    let bend = 0;
    for (let i = 1; i < plain.length - 1; i++) {
      bend = Math.max(bend, Math.abs(plain[i - 1] - 2 * plain[i] + plain[i + 1]));
    }
    const words = [];
    if (size > spec.size) words.push("larger");
    if (bend > spec.bend) words.push("rougher");
    return words.join(" and ");
  }

  // Answers.

  /** As `layered` of play.py. */
  function layered(eps) {
    const wide = Math.min(0.2, 12 * eps);
    const even = Array.from({ length: 121 }, (_, i) => ((1 - wide) * i) / 120);
    const near = Array.from({ length: 120 }, (_, i) => 1 - wide * (1 - (i + 1) / 120));
    return Float32Array.from([...even, ...near]);
  }

  const equal = (a, b) => Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b), 1e-9);

  function reference() {
    if (at.example === null) return null;
    return at.spec.references.find(
      (one) =>
        one.example === at.example &&
        Object.entries(one.at).every(([name, value]) => equal(value, at.values[name])),
    );
  }

  async function answer() {
    const { spec, arrays, session, values } = at;
    const shown = at;
    const known = reference();
    const index = known ? known.points : spec.points;
    const places = index === undefined ? layered(values.eps) : arrays[index];
    const columns = spec.plane ? 2 : 1;
    const count = places.length / columns;
    let points = places;
    let dim = columns;
    if ("t" in values) {
      dim += 1;
      points = new Float32Array(dim * count);
      for (let i = 0; i < count; i++) points.set([places[i], values.t], dim * i);
    }
    const given = Float32Array.from(seen(at));
    const feeds = {
      [spec.input]: new self.ort.Tensor("float32", given, [1, given.length]),
      x: new self.ort.Tensor("float32", points, [count, dim]),
    };
    if ("eps" in values) feeds.eps = new self.ort.Tensor("float32", [values.eps], []);
    if ("Re" in values) feeds.Re = new self.ort.Tensor("float32", [values.Re], [1]);
    const start = performance.now();
    const u = (await session.run(feeds))[spec.output].data;
    shown.last = {
      given, points, u, places, values: { ...values }, took: performance.now() - start,
      reference: known ? arrays[known.values] : null,
    };
  }

  /** Answers what was asked last, and draws; at most one at a time. */
  async function refresh() {
    if (!dirty) since = performance.now();
    dirty = true;
    if (busy) return;
    busy = true;
    try {
      while (dirty) {
        dirty = false;
        const began = since;
        await answer();
        draw();
        times.push(performance.now() - began);
        self.hopPlay.first ??= performance.now();
        since = performance.now();
        await new Promise(requestAnimationFrame);
      }
    } catch (error) {
      fail(error);
    } finally {
      busy = false;
    }
  }

  // Pictures.

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  function pen(canvas) {
    const ratio = self.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    return { context, width, height };
  }

  const short = (v) => {
    const size = Math.abs(v);
    return v === 0 ? "0" : size < 1e-3 || size >= 1e4 ? v.toExponential(0) : `${+v.toPrecision(2)}`;
  };

  /** Axes on a canvas; gives the maps of x and y to it. */
  function axes(context, width, height, [low, high]) {
    const box = { left: 46, right: width - 8, top: 8, bottom: height - 20 };
    const X = (x) => box.left + x * (box.right - box.left);
    const Y = (y) => box.bottom - ((y - low) / (high - low)) * (box.bottom - box.top);
    context.lineWidth = 1;
    context.strokeStyle = colour("--play-line");
    context.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    context.fillStyle = colour("--play-faint");
    context.textBaseline = "middle";
    context.textAlign = "right";
    const zero = low < 0 && high > 0 ? [0] : [];
    const far = (y) => !zero.length || Math.abs(Y(y) - Y(0)) > 14;
    const ticks = [...[low, high].filter(far), ...zero];
    for (const y of ticks) {
      context.fillText(short(y), box.left - 5, Math.min(Math.max(Y(y), box.top + 5), box.bottom - 5));
      if (y === 0) stroke(context, [[0, 0], [1, 0]], X, Y, colour("--play-line"), 1);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const x of [0, 0.5, 1]) context.fillText(`${x}`, Math.min(X(x), width - 12), box.bottom + 5);
    return { X, Y, box };
  }

  /** A line through points; `smooth`, through cubics between few of them (Catmull and Rom). */
  function stroke(context, points, X, Y, style, width, dash = [], smooth = false) {
    context.beginPath();
    const places = points.map(([x, y]) => [X(x), Y(y)]);
    places.forEach(([x, y], i) => {
      if (!smooth || !i) return context.lineTo(x, y);
      const [before, from, after] = [places[i - 2] ?? places[i - 1], places[i - 1], places[i + 1] ?? [x, y]];
      const out = [0, 1].map((k) => from[k] + ([x, y][k] - before[k]) / 6);
      const into = [0, 1].map((k) => [x, y][k] - (after[k] - from[k]) / 6);
      context.bezierCurveTo(...out, ...into, x, y);
    });
    context.strokeStyle = style;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.setLineDash(dash);
    context.stroke();
    context.setLineDash([]);
  }

  const pairs = (xs, ys) => Array.from(xs, (x, i) => [x, ys[i]]);

  /** The range of the input's picture, which rests while the curve is pulled. */
  function framed({ spec, drawn, frame, pulled }) {
    if (frame && pulled) return frame;
    const [low, high] = MAPS[spec.map].range(spec.size);
    const largest = Math.max(...drawn.map(Math.abs));
    if (spec.map === "bump") return [0, Math.max(0.5 * high, 1.1 * largest)];
    const size = Math.min(high, Math.max(0.55 * high, 1.1 * largest));
    return spec.map === "tanh" ? [low, high] : [-size, size];
  }

  function drawInput() {
    const { spec, arrays, drawn, hand } = at;
    const { context, width, height } = pen(part("input"));
    at.frame = framed(at);
    const { X, Y, box } = axes(context, width, height, at.frame);
    const xs = arrays[spec.sensors];
    const shown = seen(at);
    const differs = shown.some((v, i) => Math.abs(v - drawn[i]) > 1e-3 * spec.size);
    if (differs) stroke(context, pairs(xs, drawn), X, Y, colour("--play-faint"), 1.5, [], true);
    stroke(context, pairs(xs, shown), X, Y, colour("--play-input"), 2.5, [], true);
    const y = interpolated(xs, drawn, hand);
    context.beginPath();
    context.arc(X(hand), Y(y), 7, 0, 2 * Math.PI);
    context.fillStyle = colour("--play-input");
    context.fill();
    at.box = { ...box, low: at.frame[0], high: at.frame[1] };
    const canvas = part("input");
    canvas.setAttribute("aria-valuenow", y.toPrecision(3));
    canvas.setAttribute("aria-valuetext", `${spec.input} at x = ${hand.toFixed(2)}: ${short(y)}`);
  }

  /** The range of the picture: it grows at once, and shrinks when it is much too large. */
  function range(arrays) {
    let low = Infinity;
    let high = -Infinity;
    for (const array of arrays) {
      for (const v of array) {
        if (v < low) low = v;
        if (v > high) high = v;
      }
    }
    // A nearly constant function should look like one.
    const missing = Math.max(0, 0.4 * Math.max(Math.abs(low), Math.abs(high)) - (high - low));
    const pad = 0.06 * (high - low || 1) + missing / 2;
    const wanted = [low - pad, high + pad];
    const size = ([a, b]) => b - a;
    const old = at.range;
    const fits = old && old[0] <= low && old[1] >= high && size(old) < 1.6 * size(wanted);
    at.range = fits ? old : wanted;
    return at.range;
  }

  function drawLine() {
    const { spec, arrays, last } = at;
    const { context, width, height } = pen(part("output"));
    const start = "t" in last.values;
    const curves = [last.u, ...(last.reference ? [last.reference] : []), ...(start ? [last.given] : [])];
    // In time both pictures have one scale: no solution is larger than its start.
    const { X, Y } = axes(context, width, height, start ? at.frame : range(curves));
    if (start) {
      stroke(context, pairs(arrays[spec.sensors], last.given), X, Y, colour("--play-faint"), 1.5);
    }
    stroke(context, pairs(last.places, last.u), X, Y, colour("--play-output"), 2.5);
    if (last.reference) {
      stroke(context, pairs(last.places, last.reference), X, Y, colour("--play-reference"), 2, [5, 5]);
    }
  }

  const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

  /** 256 colours, each as the four bytes of a pixel. */
  const HEAT = Uint32Array.from({ length: 256 }, (_, k) => {
    const place = (k / 255) * (VIRIDIS.length - 1);
    const i = Math.min(Math.floor(place), VIRIDIS.length - 2);
    const mixed = VIRIDIS[i].map((c, n) => c + (place - i) * (VIRIDIS[i + 1][n] - c));
    return new Uint32Array(Uint8Array.from([...mixed, 255]).buffer)[0];
  });

  /** Streamlines, by marching squares on n × n values. */
  function contours(context, values, n, levels, X, Y) {
    context.beginPath();
    for (const level of levels) {
      for (let j = 0; j < n - 1; j++) {
        for (let i = 0; i < n - 1; i++) {
          const k = j * n + i;
          const cell = [values[k], values[k + 1], values[k + n + 1], values[k + n]];
          if (cell[0] < level === cell[1] < level && cell[1] < level === cell[2] < level &&
              cell[2] < level === cell[3] < level) continue;
          let count = 0;
          for (let e = 0; e < 4; e++) {
            const [u, v] = [cell[e], cell[(e + 1) % 4]];
            if (u < level === v < level) continue;
            const s = (level - u) / (v - u);
            const x = X((i + [s, 1, 1 - s, 0][e]) / (n - 1));
            const y = Y((j + [0, s, 1, 1 - s][e]) / (n - 1));
            if (count++ % 2) context.lineTo(x, y);
            else context.moveTo(x, y);
          }
        }
      }
    }
    context.strokeStyle = "rgba(255, 255, 255, 0.75)";
    context.lineWidth = 1;
    context.stroke();
  }

  function drawPlane() {
    const { spec, last } = at;
    const { context, width, height } = pen(part("output"));
    const n = spec.plane;
    const side = Math.min((width - 24) / 2, height - 24);
    const [low, high] = [Math.min(...last.u), Math.max(...last.u)];
    const levels = Array.from({ length: 9 }, (_, k) => low + ((k + 1) / 10) * (high - low));
    const middle = width / 2;
    const maps = last.reference
      ? [[last.u, "operator", middle - side - 6], [last.reference, "reference", middle + 6]]
      : [[last.u, "operator", middle - side / 2]];
    for (const [values, title, left] of maps) {
      context.fillStyle = colour("--play-faint");
      context.textAlign = "center";
      context.textBaseline = "top";
      context.fillText(title, left + side / 2, side + 6);
      context.strokeStyle = colour("--play-line");
      context.strokeRect(left, 2, side, side);
      const image = new ImageData(n, n);
      const pixels = new Uint32Array(image.data.buffer);
      const scale = 255 / (high - low || 1);
      for (let j = 0; j < n; j++) {
        for (let i = 0; i < n; i++) {
          const share = Math.min(Math.max((values[j * n + i] - low) * scale, 0), 255);
          pixels[(n - 1 - j) * n + i] = HEAT[Math.round(share)];
        }
      }
      const small = document.createElement("canvas");
      small.width = small.height = n;
      small.getContext("2d").putImageData(image, 0, 0);
      context.imageSmoothingEnabled = true;
      context.drawImage(small, left, 2, side, side);
      contours(context, values, n, levels, (x) => left + x * side, (y) => 2 + (1 - y) * side);
    }
  }

  function distance(u, exact) {
    let above = 0;
    let below = 0;
    for (let i = 0; i < u.length; i++) {
      above += (u[i] - exact[i]) ** 2;
      below += exact[i] ** 2;
    }
    return Math.sqrt(above / below);
  }

  function draw() {
    const { spec, last } = at;
    drawInput();
    (spec.plane ? drawPlane : drawLine)();
    const off = last.reference ? 100 * distance(last.u, last.reference) : NaN;
    const said = last.reference
      ? `Distance to the reference solver: ${off < 0.001 ? "under 0.001" : off.toPrecision(2)} %.`
      : "A reference is kept for the examples, at the marked values" +
        ("t" in last.values ? " and tenths of t." : ".");
    part("status").textContent = `Answered in ${last.took.toFixed(1)} ms. ${said}`;
    const beyond = outside(at);
    const warning = beyond
      ? `This function is ${beyond} than nearly all of the law that the operator was trained on: do not trust the answer.`
      : "";
    if (part("warning").textContent !== warning) part("warning").textContent = warning;
    part("warning").hidden = !warning;
    const m = spec.map === "periodic" ? mean(at.drawn) : 0;
    part("note").textContent =
      Math.abs(m) > 1e-3 * spec.size ? `The mean of what you drew, ${short(m)}, is left out.` : "";
  }

  // Controls.

  const valueOf = (move, step) =>
    move.log
      ? move.low * (move.high / move.low) ** (step / STEPS)
      : move.low + (step / STEPS) * (move.high - move.low);
  const stepOf = (move, value) =>
    STEPS *
    (move.log
      ? Math.log(value / move.low) / Math.log(move.high / move.low)
      : (value - move.low) / (move.high - move.low));
  const told = (value) => (value < 0.01 ? value.toExponential(1) : `${+value.toPrecision(3)}`);

  function setMove(move, value) {
    at.values[move.name] = value;
    const slider = document.getElementById(`play-${move.name}`);
    slider.value = stepOf(move, value);
    slider.setAttribute("aria-valuetext", `${move.said} ${told(value)}`);
    slider.closest(".play-move").querySelector("output").textContent = told(value);
    refresh();
  }

  function makeSlider(spec, move) {
    const row = document.createElement("div");
    row.className = "play-move";
    const id = `play-${move.name}`;
    row.innerHTML =
      `<label for="${id}">${move.label}, ${move.said}</label>` +
      `<input type="range" id="${id}" min="0" max="${STEPS}" step="1"><output for="${id}"></output>` +
      `<div class="play-marks"></div>`;
    const known = spec.known[move.name];
    const slider = row.querySelector("input");
    slider.addEventListener("input", () => {
      const step = Number(slider.value);
      const near = known.find((value) => Math.abs(stepOf(move, value) - step) <= SNAP);
      // Keys move by one step, and would never leave a value that they are drawn back to.
      const jumped = Math.abs(step - stepOf(move, at.values[move.name])) > 1.5;
      setMove(move, near !== undefined && jumped ? near : valueOf(move, step));
    });
    if (move.log) {
      for (const value of known) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = told(value);
        button.setAttribute("aria-label", `${move.said} ${told(value)}`);
        button.addEventListener("click", () => setMove(move, value));
        row.querySelector(".play-marks").append(button);
      }
    }
    return row;
  }

  function setDrawn(values, example = null) {
    at.drawn = Float32Array.from(values);
    at.example = example;
    at.range = at.frame = null;
    refresh();
  }

  function setExample(k) {
    const { spec, arrays } = at;
    setDrawn(arrays[spec.examples[k]].map(MAPS[spec.map].drawn), k);
  }

  /** Shows an operator. */
  async function show(name) {
    part("status").textContent = "Loading …";
    const { spec, arrays, session } = await operator(name);
    if (!root.querySelector(`input[value="${name}"]`).checked) return; // another was chosen since
    const values = Object.fromEntries(spec.moves.map((move) => [move.name, move.value]));
    at = { spec, arrays, session, values, example: 0, hand: 0.5 };
    part("equation").innerHTML = spec.equation;
    part("law").innerHTML = spec.law;
    part("error").textContent =
      `Mean error of the operator on 100 functions of its law, beside the reference solver: ${spec.error}`;
    part("input-title").textContent = `Draw ${spec.drawn}`;
    part("output-title").textContent = `${{ psi: "ψ", phi: "φ" }[spec.output] ?? spec.output}, the answer`;
    part("moves").replaceChildren(...spec.moves.map((move) => makeSlider(spec, move)));
    part("key-start").hidden = !("t" in values);
    part("legend").hidden = Boolean(spec.plane);
    const canvas = part("input");
    const [low, high] = MAPS[spec.map].range(spec.size);
    canvas.setAttribute("aria-valuemin", low.toPrecision(3));
    canvas.setAttribute("aria-valuemax", high.toPrecision(3));
    setExample(0);
    for (const move of spec.moves) setMove(move, move.value);
  }

  function fail(error) {
    part("status").textContent = `This browser cannot run the page: ${error.message}`;
    console.error(error);
  }

  function pointer(event) {
    const { box, arrays, spec, drawn } = at;
    const frame = part("input").getBoundingClientRect();
    const x = (event.clientX - frame.left - box.left) / (box.right - box.left);
    const share = (box.bottom - (event.clientY - frame.top)) / (box.bottom - box.top);
    at.hand = Math.min(Math.max(x, 0), 1);
    const y = box.low + Math.min(Math.max(share, 0), 1) * (box.high - box.low);
    raise(at.hand, y - interpolated(arrays[spec.sensors], drawn, at.hand));
    refresh();
  }

  /** What was left out of the drawn function leaves the picture, too. */
  function settle() {
    at.pulled = false;
    if (at.spec.map === "periodic") at.drawn = seen(at);
    refresh();
  }

  function keyed(event) {
    const { box, hand, spec } = at;
    const step = (box.high - box.low) / (event.shiftKey ? 100 : 25);
    const rises = { ArrowUp: step, ArrowDown: -step, PageUp: 4 * step, PageDown: -4 * step };
    const places = { ArrowLeft: hand - 0.025, ArrowRight: hand + 0.025, Home: 0, End: 1 };
    if (event.key in places) at.hand = Math.min(Math.max(places[event.key], 0), 1);
    else if (event.key in rises) raise(hand, rises[event.key]);
    else return;
    event.preventDefault();
    if (event.key in rises && spec.map === "periodic") at.drawn = seen(at);
    refresh();
  }

  function listen() {
    const canvas = part("input");
    canvas.addEventListener("pointerdown", (event) => {
      if (!at?.box || event.button) return;
      canvas.setPointerCapture(event.pointerId);
      at.pulled = true;
      canvas.focus({ preventScroll: true });
      pointer(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) pointer(event);
    });
    canvas.addEventListener("lostpointercapture", settle);
    canvas.addEventListener("keydown", (event) => at?.box && keyed(event));
    part("random").addEventListener("click", () => at && setDrawn(random(at)));
    root.querySelectorAll("[data-example]").forEach((button) => {
      button.addEventListener("click", () => at && setExample(Number(button.dataset.example)));
    });
    root.querySelectorAll('input[name="play-operator"]').forEach((choice) => {
      choice.addEventListener("change", () => show(choice.value).catch(fail));
    });
    const redraw = () => at?.last && draw();
    new ResizeObserver(redraw).observe(part("output"));
    new MutationObserver(redraw).observe(document.body, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  self.hopPlay = { times, state: () => at, idle: () => !busy && !dirty };
  listen();
  show(root.querySelector('input[name="play-operator"]:checked').value).catch(fail);
})();
