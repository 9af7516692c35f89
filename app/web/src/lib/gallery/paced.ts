/** Runs a task at once when it is asked for, but then not again for a while, however often it is asked for meanwhile. */
export class Paced {
  readonly #task: () => Promise<boolean>;
  readonly #pauseMs: number;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;

  /** `task` returns whether it is done; if not, it is run again after the pause. */
  constructor(task: () => Promise<boolean>, pauseMs: number) {
    this.#task = task;
    this.#pauseMs = pauseMs;
  }

  ask(): void {
    this.#isDue = true;
    if (this.#pause === undefined) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isDue = false;
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#isDue) void this.#run();
    }, this.#pauseMs);
    if (!(await this.#task())) this.ask();
  }
}
