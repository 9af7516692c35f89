/** A row of pictures, or the heading of a group of rows. */
export interface Row {
  /** In pixels from the top of the layout. */
  top: number;
  height: number;
  /** The index of its first picture. */
  first: number;
  /** How many pictures; 0 for a heading. */
  count: number;
}

export interface Box {
  index: number;
  left: number;
  width: number;
}

export interface Options {
  width: number;
  /** The height that rows get near to. */
  rowHeight: number;
  gap: number;
  headingHeight: number;
}

// Panoramas and tall screenshots are cropped: they would take a row, or be a line, of their own.
const NARROWEST = 0.45;
const WIDEST = 3.2;

/**
 * Places pictures in rows that fill the width, as wide as their proportions say. It grows at its end: what has been placed stays
 * where it is, but for the last row. Rows are numbers in typed arrays, so that a million pictures take a few megabytes.
 */
export class Layout {
  readonly options: Options;
  length = 0;
  /** Of the rows, without the one that is not full yet. */
  #rows = 0;
  #tops = new Float64Array(64);
  #heights = new Float32Array(64);
  #firsts = new Uint32Array(64);
  #counts = new Uint16Array(64);
  #aspects = new Float32Array(256);
  #bottom = 0;
  #open = { first: 0, sum: 0 };
  #group: string | null = null;

  constructor(options: Options) {
    this.options = options;
  }

  /**
   * Adds pictures: the proportion of each, and the group under whose heading it belongs. A seam starts a row, so that rows stay as
   * they are when pictures are put in front of them.
   */
  append(pictures: { aspect: number; group: string; isSeam?: boolean }[]): void {
    for (const { aspect, group, isSeam } of pictures) {
      if (group !== this.#group) this.#startGroup(group);
      else if (isSeam) this.#endRow();
      this.#place(Math.min(Math.max(aspect, NARROWEST), WIDEST));
    }
  }

  /** Without the last row, if that is not full: it changes when pictures are added. */
  get settledRowCount(): number {
    return this.#rows;
  }

  get rowCount(): number {
    return this.#rows + (this.#open.first < this.length ? 1 : 0);
  }

  /** In pixels. */
  get height(): number {
    const last = this.rowCount - 1;
    if (last < 0) return 0;
    const row = this.row(last);
    return row.top + row.height;
  }

  row(number: number): Row {
    if (number < this.#rows) {
      return {
        top: this.#tops[number] ?? 0,
        height: this.#heights[number] ?? 0,
        first: this.#firsts[number] ?? 0,
        count: this.#counts[number] ?? 0,
      };
    }
    const { first } = this.#open;
    return { top: this.#bottom, height: this.options.rowHeight, first, count: this.length - first };
  }

  /** The number of the row at a distance from the top; of the nearest one, outside the layout. */
  rowAt(top: number): number {
    let [low, high] = [0, Math.max(this.rowCount - 1, 0)];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.row(middle).top <= top) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The number of the row that has a picture. */
  rowOf(index: number): number {
    let [low, high] = [0, Math.max(this.rowCount - 1, 0)];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.row(middle).first <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  boxes(row: Row): Box[] {
    let left = 0;
    return Array.from({ length: row.count }, (_, place) => {
      const index = row.first + place;
      const width = (this.#aspects[index] ?? 1) * row.height;
      const box = { index, left, width };
      left += width + this.options.gap;
      return box;
    });
  }

  #startGroup(group: string): void {
    this.#group = group;
    if (this.#open.first < this.length) {
      this.#push(this.options.rowHeight, this.#open.first, this.length - this.#open.first);
    }
    this.#open = { first: this.length, sum: 0 };
    this.#push(this.options.headingHeight, this.length, 0);
  }

  /** Ends the row that is not full at the full width. With less than about half of it, the pictures join the row above. */
  #endRow(): void {
    const { width, rowHeight, gap } = this.options;
    const { first, sum } = this.#open;
    const count = this.length - first;
    if (count === 0) return;
    this.#open = { first: this.length, sum: 0 };
    const height = (width - (count - 1) * gap) / sum;
    const above = this.#rows - 1;
    const joins = height > 1.7 * rowHeight;
    if (joins && (this.#counts[above] ?? 0) > 0) {
      const start = this.#firsts[above] ?? 0;
      const all = this.#aspects.subarray(start, this.length).reduce((total, aspect) => total + aspect, 0);
      this.#rows = above;
      this.#bottom = this.#tops[above] ?? 0;
      this.#push((width - (this.length - start - 1) * gap) / all, start, this.length - start);
    } else {
      this.#push(joins ? rowHeight : height, first, count);
    }
  }

  #place(aspect: number): void {
    const { width, rowHeight, gap } = this.options;
    const open = this.#open;
    const before = this.length - open.first;
    const heightWith = (width - before * gap) / (open.sum + aspect);
    if (heightWith < rowHeight && before > 0) {
      // The row is full: with this picture or without it, whichever is nearer to the wanted height.
      const heightWithout = (width - (before - 1) * gap) / open.sum;
      if (heightWithout - rowHeight < rowHeight - heightWith) {
        this.#push(heightWithout, open.first, before);
        this.#open = { first: this.length, sum: 0 };
      }
    }
    if (this.length === this.#aspects.length) this.#aspects = grown(this.#aspects);
    this.#aspects[this.length++] = aspect;
    this.#open.sum += aspect;
    const count = this.length - this.#open.first;
    const height = (width - (count - 1) * gap) / this.#open.sum;
    if (height <= rowHeight) {
      this.#push(height, this.#open.first, count);
      this.#open = { first: this.length, sum: 0 };
    }
  }

  #push(height: number, first: number, count: number): void {
    const row = this.#rows++;
    if (row === this.#tops.length) {
      this.#tops = grown(this.#tops);
      this.#heights = grown(this.#heights);
      this.#firsts = grown(this.#firsts);
      this.#counts = grown(this.#counts);
    }
    this.#tops[row] = this.#bottom;
    this.#heights[row] = height;
    this.#firsts[row] = first;
    this.#counts[row] = count;
    this.#bottom += height + this.options.gap;
  }
}

function grown<A extends Float64Array | Float32Array | Uint32Array | Uint16Array>(array: A): A {
  const larger = new (array.constructor as new (length: number) => A)(array.length * 2);
  larger.set(array);
  return larger;
}
