/** The longest pause after failures. */
const MOST_MS = 60_000;

/** Runs a task when it is asked for, but then not again for a while, however often it is asked for meanwhile. */
export class Paced {
  readonly #task: () => Promise<boolean>;
  readonly #pauseMs: number;
  readonly #delayMs: number;
  /** Whether it waits or runs. */
  #isBusy = false;
  #isDue = false;
  #failures = 0;

  /**
   * `task` returns whether it is done; if not, it is run again after the pause, and after a longer one each time that it throws. It begins at a
   * random moment of `delayMs`: many pages are told of the same thing at once.
   */
  constructor(task: () => Promise<boolean>, pauseMs: number, delayMs = 0) {
    this.#task = task;
    this.#pauseMs = pauseMs;
    this.#delayMs = delayMs;
  }

  ask(): void {
    this.#isDue = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    const delay = Math.random() * this.#delayMs;
    if (delay > 0) setTimeout(() => void this.#run(), delay);
    else void this.#run();
  }

  async #run(): Promise<void> {
    this.#isDue = false;
    try {
      if (!(await this.#task())) this.#isDue = true;
      this.#failures = 0;
    } catch {
      this.#isDue = true;
      this.#failures++;
    }
    setTimeout(() => {
      if (this.#isDue) void this.#run();
      else this.#isBusy = false;
    }, Math.max(Math.min(this.#pauseMs * 2 ** this.#failures, MOST_MS), this.#pauseMs));
  }
}
