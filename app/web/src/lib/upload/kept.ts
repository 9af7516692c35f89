// Files whose upload is not done, in the browser's own database: after a reload they continue without being picked again.

const DATABASE = 'uploads';
const STORE = 'files';

export interface Kept {
  id: string;
  file: File;
  /** Whether the user has not said yet that it is to be uploaded: other sites can send files to a share target, too. */
  isOffered?: boolean;
}

export async function keep(kept: Kept): Promise<void> {
  await run('readwrite', (store) => store.put(kept));
}

export async function forget(id: string): Promise<void> {
  await run('readwrite', (store) => store.delete(id));
}

export async function listKept(): Promise<Kept[]> {
  return run('readonly', (store) => store.getAll() as IDBRequest<Kept[]>);
}

async function run<T>(mode: IDBTransactionMode, use: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await settled(use(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function open(): Promise<IDBDatabase> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'id' });
  return settled(opening);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the browser keeps no files'));
  });
}
