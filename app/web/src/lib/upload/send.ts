import { isForStore, sendToStore } from './store';
import type { Events, Sending } from './sending';
import { sendByTus } from './tus';

/**
 * Sends a file: a large one in parts to the store itself, if that is a bucket which takes them from this page, else through the service by
 * tus. It continues an earlier upload of the same file that has not come to its end; `id` is that of the file.
 */
export function send(id: string, file: File, events: Events): Sending {
  if (!isForStore(file)) return sendByTus(file, events);
  let sending = sendToStore(id, file, events, () => {
    if (!isStopped) sending = sendByTus(file, events);
  });
  let isStopped = false;
  return {
    stop: (discard) => {
      isStopped = true;
      return sending.stop(discard);
    },
  };
}
