/**
 * What another mail server may ask: its sessions judged by our hooks, lists and scanners, and what it is to do with a message. May not
 * know by which protocol it asks, nor queue, deliver or listen.
 */
export type { Conversation } from "./conversation.ts";
export { createConversations, type Conversations, type ConversationsOptions } from "./conversations.ts";
export type { HeaderChange } from "./header-changes.ts";
export type { Changes, Disposal, Refusal } from "./disposal.ts";
export type { Needs, ToldSession, ToldState } from "./told.ts";
