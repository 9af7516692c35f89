export interface Toast {
  id: number;
  text: string;
  kind: 'note' | 'error';
  action?: { label: string; run: () => void } | undefined;
}

/** With an action there has to be time to reach it, by keyboard, too. */
const SHOWN_MS = { note: 4000, error: 8000, action: 12_000 };

class Toasts {
  list = $state<Toast[]>([]);
  #last = 0;

  show(text: string, kind: Toast['kind'] = 'note', action?: Toast['action']): void {
    const id = ++this.#last;
    this.list = [...this.list.slice(-2), { id, text, kind, action }];
    setTimeout(() => this.dismiss(id), SHOWN_MS[action ? 'action' : kind]);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
