import { WebSocket } from 'ws';
import {
  type MethodName,
  methods,
  type Notice,
  type NotificationName,
  notifications,
  type Params,
  type Result,
} from '../../protocol/contract.ts';
import { Fault, type FaultName } from '../../protocol/fault.ts';

type Events = { [N in NotificationName]: Notice<N> } & { disconnected: { code: number; reason: string } };
export interface Client {
  call<M extends MethodName>(name: M, params: Params<M>, options?: { signal?: AbortSignal }): Promise<Result<M>>;
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void;
  close(): Promise<void>;
}
export async function connect({
  url,
  token,
}: {
  url: string;
  token?: string;
  validate?: boolean;
  reconnect?: false;
}): Promise<Client> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, 'slotcast.v1', {
    headers: { authorization: `Bearer ${token}` },
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  let last = 0;
  const pending = new Map<number, { name: MethodName; resolve: (v: never) => void; reject: (e: unknown) => void }>();
  const listeners = new Map<string, ((v: never) => void)[]>();
  socket.on('message', (data) => {
    const m = JSON.parse(String(data));
    if (m.method) {
      notifications[m.method as NotificationName].params.parse(m.params);
      for (const l of listeners.get(m.method) ?? []) l(m.params as never);
      return;
    }
    const p = pending.get(m.id);
    if (!p) return;
    pending.delete(m.id);
    if (m.error) p.reject(new Fault(m.error.data.name as FaultName, m.error.message, m.error.data));
    else {
      const checked = methods[p.name].result.safeParse(m.result);
      if (!checked.success) p.reject(new Error(`${p.name}: ${checked.error.message}`));
      else p.resolve(m.result as never);
    }
  });
  socket.on('close', (code, reason) => {
    for (const p of pending.values()) p.reject(new Error(`closed ${code}`));
    for (const l of listeners.get('disconnected') ?? []) l({ code, reason: String(reason) } as never);
  });
  return {
    call: (name, params, options) =>
      new Promise((resolve, reject) => {
        const id = ++last;
        pending.set(id, { name, resolve: resolve as never, reject });
        socket.send(JSON.stringify({ jsonrpc: '2.0', id, method: name, params }));
        options?.signal?.addEventListener('abort', () =>
          socket.send(JSON.stringify({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id } })),
        );
      }),
    on: (event, listener) => {
      listeners.set(event, [...(listeners.get(event) ?? []), listener as never]);
      return () => {};
    },
    close: () =>
      new Promise((resolve) => {
        if (socket.readyState === 3) resolve();
        else {
          socket.once('close', () => resolve());
          socket.close();
        }
      }),
  };
}
