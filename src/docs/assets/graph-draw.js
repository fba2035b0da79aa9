// A scene as SVG (up to some hundred boxes, and for export) or on a canvas (above). Both look the same.
(() => {
  "use strict";
  const kiln = window.kiln;
  const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
  const HEAD = 44;
  const ROW = 20;
  const PAD = 12;

  const ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  /** @type {Map<string, string>} */
  const fitted = new Map();

  /** The text, or as much of both its ends as fits: names in a project often differ at their end.
   * @param {string} text @param {number} width @param {string} font */
  function fit(text, width, font) {
    const key = `${font}|${width}|${text}`;
    const known = fitted.get(key);
    if (known !== undefined) return known;
    ruler.font = `${font} ${FONT}`;
    let short = text;
    if (ruler.measureText(text).width > width) {
      const letters = [...text];
      let low = 0;
      let high = letters.length;
      while (low < high) {
        const keep = Math.ceil((low + high) / 2);
        const cut = letters.slice(0, Math.ceil(keep / 2)).join("") + "…" + letters.slice(letters.length - Math.floor(keep / 2)).join("");
        if (ruler.measureText(cut).width <= width) low = keep;
        else high = keep - 1;
      }
      short = letters.slice(0, Math.ceil(low / 2)).join("") + "…" + letters.slice(letters.length - Math.floor(low / 2)).join("");
    }
    if (fitted.size > 20000) fitted.clear();
    fitted.set(key, short);
    return short;
  }

  /** The text, or as much of its start as fits.
   * @param {string} text @param {number} width @param {string} font */
  function start(text, width, font) {
    const key = `<${font}|${width}|${text}`;
    const known = fitted.get(key);
    if (known !== undefined) return known;
    ruler.font = `${font} ${FONT}`;
    let short = text;
    while (short && ruler.measureText(short === text ? text : `${short}…`).width > width) short = [...short].slice(0, -1).join("").trimEnd();
    short = short === text ? text : `${short}…`;
    fitted.set(key, short);
    return short;
  }

  /** Colours as they are now: custom properties are resolved by giving them to an element.
   * @returns {KilnPen} */
  kiln.pen = () => {
    const probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
    /** @type {KilnPen} */
    const pen = {};
    const names = ["bg", "card", "ink", "soft", "line", "rule", "accent", "accent-soft", "band", "failed", "broken", "stale"];
    for (const name of [...names, "warned", "none", "ok", "added", "removed", "modified", "affected", "influence"]) {
      probe.style.color = `var(--${name})`;
      pen[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    return pen;
  };

  /** What a box looks like, the same for both ways of drawing.
   * @param {KilnBox} box @param {KilnPen} pen */
  function look(box, pen) {
    const edge = box.diff && box.diff !== "unchanged" ? pen[box.diff] : box.focus ? pen.accent : pen.line;
    return { edge, thick: box.focus || (box.diff && box.diff !== "unchanged") ? 2 : 1, fade: box.dim ? 0.5 : 1 };
  }

  /** @param {KilnLine} line @param {KilnPen} pen */
  function stroke(line, pen) {
    const colour = line.kind === "value" ? pen.accent : line.kind === "influence" ? pen.influence : pen.rule;
    return {
      colour,
      width: line.kind === "plain" ? Math.min(6, 1.3 + Math.log2(line.weight) * 0.6) : 2,
      dash: line.kind === "influence" ? [6, 4] : line.kind === "unknown" ? [2, 4] : [],
      fade: line.dim ? 0.3 : 1,
    };
  }

  /** @param {string} name @param {{ [name: string]: any }} attributes @param {any[]} children */
  function svg(name, attributes, ...children) {
    const element = /** @type {SVGElement} */ (document.createElementNS("http://www.w3.org/2000/svg", name));
    for (const [key, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(key, String(value));
    element.append(...children);
    return element;
  }

  /** @param {KilnRow} row @param {KilnPen} pen */
  function rowLook(row, pen) {
    const mark = row.as === "chosen" ? "●" : row.as === "value" ? "•" : row.as === "influence" ? "◦" : row.as === "unknown" ? "?" : "";
    return {
      mark,
      ink: row.as === "plain" ? pen.soft : row.as === "influence" ? pen.influence : row.as === "unknown" ? pen.warned : pen.ink,
      type: row.unknown ? "unknown" : row.type,
      back: row.as === "chosen" ? pen["accent-soft"] : "",
    };
  }

  /** The name of a column, and what of its type still fits beside it.
   * @param {KilnBox} box @param {string} name @param {string} type */
  function beside(box, name, type) {
    const room = box.w - PAD * 2 - 14;
    const short = fit(name, type ? room - 34 : room, "12px");
    ruler.font = `12px ${FONT}`;
    const rest = room - ruler.measureText(short).width - 10;
    return { name: short, type: type && start(type.toLowerCase(), rest, "11px") };
  }

  /** @param {KilnScene} scene @param {KilnPen} pen @param {boolean} alone as a file, not in the page */
  function drawSvg(scene, pen, alone) {
    const root = /** @type {SVGSVGElement} */ (svg("svg", { xmlns: "http://www.w3.org/2000/svg", "font-family": FONT, "font-size": 13 }));
    const world = svg("g", { class: "world" });
    if (alone) {
      const top = scene.bands.length ? 34 : 0;
      root.setAttribute("viewBox", `0 ${-top} ${scene.w} ${scene.h + top}`);
      root.setAttribute("width", String(scene.w));
      root.setAttribute("height", String(scene.h + top));
      world.append(svg("rect", { x: 0, y: -top, width: scene.w, height: scene.h + top, fill: pen.bg }));
    }
    scene.bands.forEach((band, at) => {
      const top = alone ? -34 : -4000;
      const high = alone ? scene.h + 34 : scene.h + 8000;
      if (at % 2 === 0) world.append(svg("rect", { class: "band", x: band.x, y: top, width: band.w, height: high, fill: pen.band }));
      if (alone) world.append(svg("text", { x: band.x + 16, y: -12, fill: pen.soft, "font-weight": 600 }, band.label));
    });
    const lines = svg("g", { class: "lines", fill: "none" });
    for (const line of scene.lines) {
      const how = stroke(line, pen);
      lines.append(
        svg("path", {
          d: kiln.layout.path(line.points),
          class: `line ${line.kind}${line.dim ? " dim" : ""}`,
          "data-from": line.from,
          "data-to": line.to,
          stroke: how.colour,
          "stroke-width": how.width,
          "stroke-dasharray": how.dash.length ? how.dash.join(" ") : undefined,
          opacity: how.fade === 1 ? undefined : how.fade,
        }),
      );
    }
    world.append(lines);
    scene.boxes.forEach((box, at) => world.append(drawBox(box, at, pen, alone)));
    root.append(world);
    return root;
  }

  /** @param {KilnBox} box @param {number} at @param {KilnPen} pen @param {boolean} alone */
  function drawBox(box, at, pen, alone) {
    const how = look(box, pen);
    const name = fit(box.title, box.w - PAD * 2, "600 13px");
    const sub = start(box.sub, box.w - PAD * 2 - 16, "11.5px");
    const group = svg("g", {
      transform: `translate(${box.x} ${box.y})`,
      class: `box status-${box.status}${box.focus ? " focus" : ""}${box.dim ? " dim" : ""}${box.diff ? ` diff-${box.diff}` : ""}`,
      opacity: how.fade === 1 ? undefined : how.fade,
    });
    const press = svg("g", { class: "press" });
    if (!alone) {
      group.dataset.box = String(at);
      for (const element of [group, press]) element.dataset.id = box.id;
      press.setAttribute("role", "button");
      press.setAttribute("tabindex", "-1");
      // First what can be read in the box, then what cannot.
      press.setAttribute("aria-label", [`${name} ${box.sign} ${sub}`, ...(name === box.title ? [] : [box.title]), box.label].join(", "));
    }
    press.append(svg("title", {}, `${box.title}, ${box.label}`));
    if (box.group >= 0) {
      for (const back of [6, 3]) {
        press.append(svg("rect", { x: back, y: -back, width: box.w - back, height: box.h, rx: 8, fill: pen.card, stroke: pen.line }));
      }
    }
    press.append(svg("rect", { class: "card-shape", width: box.w, height: box.h, rx: 8, fill: pen.card, stroke: how.edge, "stroke-width": how.thick }));
    press.append(svg("text", { x: PAD, y: 18, fill: pen.ink, "font-weight": 600, class: "name" }, name));
    press.append(svg("text", { x: PAD, y: 35, fill: pen[box.status] ?? pen.soft, "font-size": 12, "font-weight": 700 }, box.sign));
    press.append(svg("text", { x: PAD + 16, y: 35, fill: pen.soft, "font-size": 11.5, class: "sub" }, sub));
    group.append(press);
    box.rows.forEach((row, place) => {
      const y = HEAD + place * ROW;
      const how = rowLook(row, pen);
      const line = svg("g", { class: `row as-${row.as}` });
      if (!alone) line.dataset.column = String(row.column);
      if (how.back) line.append(svg("rect", { x: 1, y, width: box.w - 2, height: ROW, fill: how.back }));
      line.append(svg("text", { x: PAD, y: y + 14, fill: how.ink, "font-size": 11 }, how.mark));
      const text = beside(box, row.name, how.type);
      line.append(svg("text", { x: PAD + 14, y: y + 14, fill: how.ink, "font-size": 12 }, text.name));
      line.append(svg("text", { x: box.w - PAD, y: y + 14, fill: pen.soft, "font-size": 11, "text-anchor": "end" }, text.type));
      if (!alone) line.append(svg("rect", { x: 0, y, width: box.w, height: ROW, fill: "transparent" }));
      group.append(line);
    });
    if (box.more) {
      const y = HEAD + box.rows.length * ROW + 14;
      group.append(svg("text", { x: PAD + 14, y, fill: pen.soft, "font-size": 11 }, `${box.more} more`));
    }
    for (const [count, x, anchor, word] of /** @type {[number, number, string, string][]} */ ([
      [box.hiddenUp, -6, "end", "more upstream"],
      [box.hiddenDown, box.w + 6, "start", "more downstream"],
    ])) {
      if (!count) continue;
      const more = svg("text", { x, y: 15, fill: pen.soft, "font-size": 11, "text-anchor": anchor, class: "hidden-count" }, `+${count}`);
      more.append(svg("title", {}, `${count} ${word}`));
      group.append(more);
    }
    return group;
  }

  /** @type {WeakMap<KilnScene, { paths: Path2D[], bounds: Float64Array }>} */
  const prepared = new WeakMap();

  /** @param {KilnScene} scene */
  function prepare(scene) {
    let ready = prepared.get(scene);
    if (!ready) {
      const bounds = new Float64Array(scene.lines.length * 4);
      const paths = scene.lines.map((line, at) => {
        let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
        for (let n = 0; n < line.points.length; n += 2) {
          left = Math.min(left, line.points[n]);
          right = Math.max(right, line.points[n]);
          top = Math.min(top, line.points[n + 1]);
          bottom = Math.max(bottom, line.points[n + 1]);
        }
        bounds.set([left - 8, top - 8, right + 8, bottom + 8], at * 4);
        return new Path2D(kiln.layout.path(line.points));
      });
      ready = { paths, bounds };
      prepared.set(scene, ready);
    }
    return ready;
  }

  /** Draws what is seen. Far away, boxes have no text; very far, lines are straight and thin.
   * @param {KilnScene} scene @param {KilnPen} pen @param {CanvasRenderingContext2D} context @param {KilnView} view
   * @param {number} w @param {number} h */
  function drawCanvas(scene, pen, context, view, w, h) {
    const { paths, bounds } = prepare(scene);
    const { k } = view;
    const left = -view.x / k;
    const top = -view.y / k;
    const right = left + w / k;
    const bottom = top + h / k;
    context.save();
    context.fillStyle = pen.bg;
    context.fillRect(0, 0, w, h);
    context.translate(view.x, view.y);
    context.scale(k, k);
    scene.bands.forEach((band, at) => {
      if (at % 2) return;
      context.fillStyle = pen.band;
      context.fillRect(band.x, top, band.w, bottom - top);
    });
    const far = k < 0.25;
    /** @type {Map<string, { how: ReturnType<typeof stroke>, at: number[] }>} */
    const styles = new Map();
    for (let at = 0; at < scene.lines.length; at++) {
      if (bounds[at * 4] > right || bounds[at * 4 + 2] < left || bounds[at * 4 + 1] > bottom || bounds[at * 4 + 3] < top) continue;
      const line = scene.lines[at];
      const key = `${line.kind}${line.dim}${line.weight}`;
      const style = styles.get(key);
      if (style) style.at.push(at);
      else styles.set(key, { how: stroke(line, pen), at: [at] });
    }
    for (const { how, at } of styles.values()) {
      context.strokeStyle = how.colour;
      context.globalAlpha = how.fade * (far ? 0.45 : 1);
      context.lineWidth = Math.max(how.width, 0.8 / k);
      context.setLineDash(far ? [] : how.dash);
      if (far) {
        context.beginPath();
        for (const line of at) {
          const points = scene.lines[line].points;
          context.moveTo(points[0], points[1]);
          context.lineTo(points[points.length - 2], points[points.length - 1]);
        }
        context.stroke();
      } else for (const line of at) context.stroke(paths[line]);
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
    context.strokeStyle = pen.accent;
    context.lineWidth = Math.max(2, 1.4 / k);
    scene.lines.forEach((line, at) => {
      if (scene.hot >= 0 && (line.from === scene.hot || line.to === scene.hot)) context.stroke(paths[at]);
    });
    for (const box of scene.boxes) {
      if (box.x > right || box.x + box.w < left || box.y > bottom || box.y + box.h < top) continue;
      paintBox(box, pen, context, k);
    }
    context.restore();
  }

  /** @param {KilnBox} box @param {KilnPen} pen @param {CanvasRenderingContext2D} context @param {number} k */
  function paintBox(box, pen, context, k) {
    const how = look(box, pen);
    context.globalAlpha = how.fade;
    if (k < 0.12) {
      // A dot of the box's status: that is all that can be seen from so far.
      context.fillStyle = box.status === "ok" || box.status === "none" ? pen.rule : (pen[box.status] ?? pen.rule);
      if (box.focus) context.fillStyle = pen.accent;
      context.fillRect(box.x, box.y, box.w, box.h);
      return;
    }
    const cards = box.group >= 0 ? [6, 3, 0] : [0];
    for (const back of cards) {
      context.beginPath();
      if (k < 0.35) context.rect(box.x + back, box.y - back, box.w - back, box.h);
      else context.roundRect(box.x + back, box.y - back, box.w - back, box.h, 8);
      context.fillStyle = pen.card;
      context.fill();
      context.strokeStyle = back ? pen.line : how.edge;
      context.lineWidth = back ? 1 : Math.max(how.thick, 0.7 / k);
      context.stroke();
    }
    if (k < 0.35) {
      if (box.status !== "ok" && box.status !== "none") {
        context.fillStyle = pen[box.status] ?? pen.rule;
        context.fillRect(box.x, box.y, 14, box.h);
      }
      return;
    }
    context.textAlign = "left";
    write(context, box.title, box.x + PAD, box.y + 18, pen.ink, "600 13px", box.w - PAD * 2);
    write(context, box.sign, box.x + PAD, box.y + 35, pen[box.status] ?? pen.soft, "700 12px", 16);
    write(context, start(box.sub, box.w - PAD * 2 - 16, "11.5px"), box.x + PAD + 16, box.y + 35, pen.soft, "11.5px", box.w);
    box.rows.forEach((row, place) => {
      const y = box.y + HEAD + place * ROW;
      const how = rowLook(row, pen);
      if (how.back) {
        context.fillStyle = how.back;
        context.fillRect(box.x + 1, y, box.w - 2, ROW);
      }
      write(context, how.mark, box.x + PAD, y + 14, how.ink, "11px", 14);
      const text = beside(box, row.name, how.type);
      write(context, text.name, box.x + PAD + 14, y + 14, how.ink, "12px", box.w);
      context.textAlign = "right";
      write(context, text.type, box.x + box.w - PAD, y + 14, pen.soft, "11px", box.w);
      context.textAlign = "left";
    });
    if (box.more) write(context, `${box.more} more`, box.x + PAD + 14, box.y + HEAD + box.rows.length * ROW + 14, pen.soft, "11px", 120);
    if (box.hiddenDown) write(context, `+${box.hiddenDown}`, box.x + box.w + 6, box.y + 15, pen.soft, "11px", 60);
    if (box.hiddenUp) {
      context.textAlign = "right";
      write(context, `+${box.hiddenUp}`, box.x - 6, box.y + 15, pen.soft, "11px", 60);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {string} text @param {number} x @param {number} y
   * @param {string} colour @param {string} font @param {number} width */
  function write(context, text, x, y, colour, font, width) {
    context.font = `${font} ${FONT}`;
    context.fillStyle = colour;
    context.fillText(fit(text, width, font), x, y);
  }

  kiln.draw = { svg: drawSvg, canvas: drawCanvas };
})();
