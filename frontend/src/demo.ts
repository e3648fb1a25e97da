/** Whether this is the demo on one's own machine: only there the demo's accounts are told. */
export const isDemo = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname)
