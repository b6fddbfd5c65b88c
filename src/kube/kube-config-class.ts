/** All that is used of client-node; by a module of its own, so that the bundle holds no more of it although it is imported late. */
export { KubeConfig } from '@kubernetes/client-node';
