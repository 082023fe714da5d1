// The whole contract: every method and notification by name, and the types that server and client take from it.
import type { z } from 'zod';
import { artifactMethods } from './artifact.ts';
import { castMethods } from './cast.ts';
import { execMethods, execNotifications } from './exec.ts';
import { fileMethods } from './file.ts';
import type { Method, Notification } from './method.ts';
import { serverMethods } from './server.ts';
import { slotMethods, slotNotifications } from './slot.ts';
import { terminalMethods } from './terminal.ts';
import { watchMethods, watchNotifications } from './watch.ts';

export const methods = {
  ...serverMethods,
  ...slotMethods,
  ...execMethods,
  ...terminalMethods,
  ...watchMethods,
  ...castMethods,
  ...fileMethods,
  ...artifactMethods,
} as const;

export const notifications = { ...slotNotifications, ...execNotifications, ...watchNotifications } as const;

export type MethodName = keyof typeof methods;
export type NotificationName = keyof typeof notifications;

/** What a client sends. */
export type Params<M extends MethodName> = z.input<(typeof methods)[M]['params']>;
/** What a handler gets: validated, defaults filled in. */
export type Call<M extends MethodName> = z.output<(typeof methods)[M]['params']>;
export type Result<M extends MethodName> = z.output<(typeof methods)[M]['result']>;
export type Notice<N extends NotificationName> = z.output<(typeof notifications)[N]['params']>;

/** The declaration behind a name; own properties only, so that `constructor` is no method. */
export const methodNamed = (name: string): Method | undefined =>
  Object.hasOwn(methods, name) ? (methods[name as MethodName] as Method) : undefined;

export const notificationNamed = (name: string): Notification | undefined =>
  Object.hasOwn(notifications, name) ? (notifications[name as NotificationName] as Notification) : undefined;
