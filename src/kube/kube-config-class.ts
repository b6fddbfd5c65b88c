/** The only part of client-node that is used. In its own module, because a late import of the whole package would bundle all of it. */
export { KubeConfig } from '@kubernetes/client-node';
