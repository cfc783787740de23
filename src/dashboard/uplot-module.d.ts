/** The page loads uPlot from beside itself, where the server finds it in `node_modules`. */
declare module '*/vendor/uPlot.esm.js' {
  export { default } from 'uplot';
}
