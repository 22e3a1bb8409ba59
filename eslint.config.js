import neostandard, { plugins } from 'neostandard'

export default [
  { ignores: ['dist/', 'build/', '.tap/', 'node_modules/'] },
  ...neostandard({ ts: true }),
  {
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      '@stylistic/comma-dangle': 'off', // multi-line literals end with a comma, signatures do not: both read well
      '@stylistic/space-before-function-paren': 'off', // follows the nearest neighbour
      '@typescript-eslint/no-explicit-any': 'error',
      'no-redeclare': 'off', // a zod schema and its type share a name (TypeScript itself refuses real redeclarations)
      '@typescript-eslint/no-redeclare': 'off',
      camelcase: 'off', // data keeps its field names from disk to wire, as Splunk spells them: snake_case
      '@stylistic/object-property-newline': 'off', // tables of short members read better in rows
    },
  },
]
