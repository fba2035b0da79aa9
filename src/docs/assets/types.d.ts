// What the scripts of the site know of each other and of the data that `kiln docs generate` writes (src/docs/data.rs).
// Only for `tsc --checkJs`: no part of the site.

interface KilnData {
  version: number;
  project: string;
  target: string;
  run?: { id: string; at: string; status: string; release?: number };
  layers: { key: string; label: string }[];
  statuses: { key: string; label: string; sign: string }[];
  nodes: KilnNode[];
  edges: [number, number][];
  box: [number, number];
  size: [number, number];
  bands: [number, number][];
  groups: { [by: string]: KilnGrouping };
  shard: number;
  diff?: { base: string; counts: { [label: string]: number } };
}

interface KilnNode {
  id: string;
  name: string;
  kind: "source" | "seed" | "model" | "snapshot" | "consumer";
  layer: number;
  url: string;
  status: string;
  why?: string;
  mat?: string;
  folder?: string;
  owner?: string;
  tags?: string[];
  rows?: number;
  seconds?: number;
  built?: string;
  fresh?: boolean;
  columns?: number;
  up?: number;
  down?: number;
  rank: number;
  order: number;
  x: number;
  y: number;
  diff?: "added" | "removed" | "modified" | "affected";
}

interface KilnGroup {
  name: string;
  layer: number;
  count: number;
  status: number[];
  rank: number;
  order: number;
  x: number;
  y: number;
}

interface KilnGrouping {
  groups: KilnGroup[];
  of: number[];
  edges: [number, number, number][];
  size: [number, number];
  bands: [number, number][];
}

interface KilnColumns {
  cols: [string, string][];
  /** column (-1: all), node, column there, kind */
  up: [number, number, number, number][];
  /** column, node, column there (-1: all), kind */
  down: [number, number, number, number][];
  unknown?: number[];
}

interface KilnSearch {
  version: number;
  /** kind, name, url, layer, status, text */
  nodes: [string, string, string, string, string, string][];
  /** node, name, type, text, position */
  columns: [number, string, string, string, number][];
  /** node, name, place */
  tests: [number, string, number][];
}

/** What one column comes from and goes into. Keys are `node:column`. */
interface KilnReach {
  up: Map<string, number>;
  down: Map<string, number>;
  /** from node, from column, to node, to column (-1: the whole node), kind */
  edges: [number, number, number, number, number][];
  /** Reached columns whose own origin is not known. */
  unknown: Set<string>;
  /** Columns of unknown origin that read something reached. */
  may: Set<string>;
}

interface KilnRow {
  column: number;
  name: string;
  type: string;
  /** chosen, value, influence, unknown, plain */
  as: string;
  unknown: boolean;
}

interface KilnBox {
  id: string;
  node: number;
  group: number;
  x: number;
  y: number;
  w: number;
  h: number;
  title: string;
  sub: string;
  status: string;
  sign: string;
  label: string;
  dim: boolean;
  focus: boolean;
  diff: string;
  rows: KilnRow[];
  more: number;
  hiddenUp: number;
  hiddenDown: number;
}

interface KilnLine {
  from: number;
  to: number;
  /** x, y, x, y… from the first end to the last; pairs of points with the same y are straight */
  points: number[];
  kind: "plain" | "value" | "influence" | "unknown";
  dim: boolean;
  weight: number;
}

interface KilnScene {
  w: number;
  h: number;
  boxes: KilnBox[];
  lines: KilnLine[];
  bands: { x: number; w: number; label: string }[];
  /** [from, to] of the nodes, or groups, that are drawn */
  edges: [number, number][];
  /** The box under the pointer or the keyboard, or -1. */
  hot: number;
}

interface KilnModel {
  data: KilnData;
  parents: number[][];
  children: number[][];
  number: Map<string, number>;
  statusOf(key: string): { key: string; label: string; sign: string };
  around(focus: number, up: number, down: number): Set<number>;
  all(start: number, steps: number[][]): Set<number>;
  columns(node: number): Promise<KilnColumns>;
  reach(node: number, column: number, influence: boolean): Promise<KilnReach>;
}

interface KilnSite {
  root: string;
  single: boolean;
  el(tag: string, props?: { [name: string]: any } | null, ...children: any[]): HTMLElement;
  href(path: string, anchor?: string): string;
  state(): URLSearchParams;
  /** Goes to another state of this page; in the same place in the history if `replace`. */
  go(state: URLSearchParams, replace?: boolean): void;
  need(path: string, ready: () => boolean): Promise<void>;
  say(text: string): void;
  on(name: "page" | "theme", then: () => void): void;
  /** What is to be done to every part of the document: to all of it when it is there, and to pages that come later. */
  dress(how: (part: ParentNode) => void): void;
  model(data: KilnData): KilnModel;
  layout: {
    part(model: KilnModel, nodes: number[], height: (node: number) => number): KilnPlaced;
    path(points: number[]): string;
  };
  filters: {
    passes(data: KilnData, now: URLSearchParams): (node: number) => boolean;
    bar(data: KilnData, now: URLSearchParams, change: (changes: { [name: string]: string | null }) => void): HTMLElement;
    note(now: URLSearchParams, shown: number, hidden: number, change: (changes: { [name: string]: string | null }) => void): (Node | string)[];
    select(name: string, label: string, options: [string, string][], value: string, then: (value: string) => void): HTMLElement;
  };
  pen(): KilnPen;
  draw: {
    svg(scene: KilnScene, pen: KilnPen, alone: boolean): SVGSVGElement;
    canvas(scene: KilnScene, pen: KilnPen, context: CanvasRenderingContext2D, view: KilnView, w: number, h: number): void;
  };
  fold(text: string): string;
}

interface KilnPlaced {
  w: number;
  h: number;
  at: Map<number, { x: number; y: number }>;
  bands: { layer: number; x: number; w: number }[];
  routes: Map<string, number[]>;
}

interface KilnView {
  k: number;
  x: number;
  y: number;
}

/** Colours as they are now, resolved from the stylesheet. */
interface KilnPen {
  [name: string]: string;
}

interface Window {
  kiln: KilnSite;
  __KILN?: KilnData;
  __KILN_SEARCH?: KilnSearch;
  __KILN_COLS?: { [shard: number]: { [node: number]: KilnColumns } };
}
