import fc from '../fixtures/fast-check.js'
import type { Scalar, Value } from '../../src/spl/row.js'

/** Characters that comparisons, folding, escapes and orders tend to get wrong. */
const PIECES = ['a', 'A', 'b', 'é', 'É', 'e\u0301', 'İ', 'i', 'Σ', 'σ', 'ς', 'ß', 'K', '😀', '～', '\ue000', '\u0000', '\n', ' ', '%', '_', '*', '[', ']', '"', "'", '\\', '|', '`', '$', '1', '0', '.', '-', ',', '(', ')', '=']

/** Well-formed text of few distinct characters, so that equal and nearly equal pieces are common. */
export const anyText = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }).map(pieces => pieces.join('')),
  fc.string({ unit: 'binary', maxLength: 5 }).map(text => text.toWellFormed()),
)

/** One value of a field. */
export const anyScalar: fc.Arbitrary<Scalar> = fc.oneof(
  anyText,
  fc.constantFrom<Scalar>('', '0', '7', '007', '7.0', 7, 42, '42', -1, '-1', 1e21, '1e21', '1e+21', 0.5, 'x', 'X'),
  fc.integer(),
)

/** A field's value. */
export const anyValue: fc.Arbitrary<Value> = fc.oneof({ weight: 4, arbitrary: anyScalar }, fc.array(anyScalar, { minLength: 2, maxLength: 3 }))

const quoted = anyText.map(text => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)
/** A field as SPL writes it. */
export const anyFieldText = fc.oneof(fc.constantFrom('a', 'b_c', '_time', 'as', 'x1'), quoted.filter(text => !/^"("|.*\*|.*\n)/s.test(text)))
/** A condition of `search`, as text. */
export const { predicate: anyPredicateText } = fc.letrec<{ predicate: string, comparison: string }>(tie => ({
  comparison: fc.oneof(
    fc.tuple(anyFieldText, fc.constantFrom('=', '!=', '<', '>='), quoted).map(parts => parts.join(' ')),
    fc.tuple(anyFieldText, fc.array(quoted, { minLength: 1, maxLength: 3 })).map(([field, texts]) => `${field} IN (${texts.join(', ')})`),
    quoted.filter(text => !/^"[*]*"$/.test(text)),
    fc.constantFrom('*', 'word', 'w*rd', '[search a=* | table a b_c]', '[search word [search a=b | fields a] | stats count BY a]'),
  ),
  predicate: fc.oneof({ maxDepth: 4 },
    tie('comparison'),
    fc.tuple(tie('predicate'), fc.constantFrom('AND', 'OR', ''), tie('predicate')).map(parts => parts.join(' ')),
    tie('predicate').map(text => `(${text})`),
    tie('predicate').map(text => `NOT ${text}`),
  ),
}))
/** An aggregate of stats, as text; `expression` and `condition` are what may stand in its eval(…). */
export function anyAggregateText (expression: fc.Arbitrary<string>, condition: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const name = fc.constantFrom('count', 'dc', 'values', 'list', 'min', 'Max', 'sum', 'mean', 'stdevp', 'median', 'p95', 'perc99.9', 'exactperc5', 'first', 'latest', 'latest_time', 'mode')
  return fc.oneof(
    fc.tuple(name, anyFieldText).map(([name, field]) => `${name}(${field})`),
    fc.tuple(name, expression).map(([name, text]) => `${name}( eval(${text}))`),
    condition.map(text => `c(eval (${text}))`),
  )
}

/** An expression and a condition of eval and where, as text. */
export const { value: anyExpressionText, condition: anyConditionText } = fc.letrec<{ value: string, condition: string }>(tie => ({
  value: fc.oneof({ maxDepth: 3 },
    fc.constantFrom('a', 'b_c', '_time', "'x y'", "'it\\'s'", "'NOT'", '1', '2.5', '1e21', '0'),
    quoted,
    fc.tuple(tie('value'), fc.constantFrom('+', '-', '*', '/', '%', '.'), tie('value')).map(parts => parts.join(' ')),
    tie('value').map(text => `(${text})`),
    tie('value').map(text => `- ${text}`),
    fc.tuple(tie('condition'), tie('value')).map(([test, text]) => `if(${test}, ${text}, null())`),
    fc.tuple(fc.constantFrom('len', 'lower', 'upper', 'mvcount', 'round', 'tostring', 'coalesce', 'abs', 'floor', 'sqrt', 'exp', 'ln', 'tonumber', 'trim', 'rtrim', 'urldecode', 'md5', 'mvdedup', 'mvsort', 'json_extract', 'json_keys', 'json_array_to_mv', 'mv_to_json_array'), tie('value')).map(([name, text]) => `${name}(${text})`),
    fc.tuple(fc.constantFrom('mvappend', 'mvindex', 'mvjoin', 'mvzip', 'nullif', 'max', 'min', 'pow', 'log', 'split', 'substr', 'ltrim', 'json_array', 'json_object', 'spath', 'mvfind', 'strptime', 'relative_time', 'printf', 'tonumber', 'mvrange'), tie('value'), tie('value')).map(([name, ...args]) => `${name}(${name === 'mvfind' || name === 'printf' || name === 'strptime' ? `"" . ${args[0]}, "" . ${args[1]}` : name === 'relative_time' ? `${args[0]}, "-1d@d"` : args.join(', ')})`),
    fc.tuple(tie('value'), fc.constantFrom('a', '^(.)', '\\d*', '[^a]'), fc.constantFrom('', '\\1', 'x\\0')).map(([text, pattern, replacement]) => `replace(${text}, "${pattern}", "${replacement}")`),
    fc.tuple(tie('value'), fc.constantFrom('hex', 'commas', 'duration', 'binary')).map(([text, format]) => `tostring(${text}, "${format}")`),
    fc.tuple(fc.constantFrom('a', 'b_c', "'x y'"), tie('value')).map(([field, text]) => `mvmap(${field}, ${text})`),
    fc.constantFrom('mvfilter(a!="")', 'mvfilter(len(b_c) > 1)', 'now()', 'pi()', 'strftime(_time, "%F %T.%6N")'),
    tie('condition').map(text => `typeof(${text})`),
  ),
  condition: fc.oneof({ maxDepth: 4 },
    fc.tuple(tie('value'), fc.constantFrom('=', '==', '!=', '<', '>='), tie('value')).map(parts => parts.join(' ')),
    fc.tuple(tie('condition'), fc.constantFrom('AND', 'or', 'XOR'), tie('condition')).map(parts => parts.join(' ')),
    tie('condition').map(text => `(${text})`),
    tie('condition').map(text => `NOT ${text}`),
    fc.tuple(fc.constantFrom('isnull', 'isnum', 'isint', 'isstr', 'isbool', 'json_valid'), tie('value')).map(([name, text]) => `${name}(${text})`),
    fc.tuple(tie('value'), fc.constantFrom('IN', 'in'), fc.array(tie('value'), { minLength: 1, maxLength: 3 })).map(([text, word, list]) => `${text} ${word} (${list.join(', ')})`),
    fc.tuple(tie('value'), fc.constantFrom('LIKE', 'like'), tie('value')).map(parts => parts.join(' ')),
    fc.tuple(tie('value'), fc.constantFrom('a', '(?i)^A', '(?=1)')).map(([text, pattern]) => `match(${text}, "${pattern}")`),
  ),
}))

const someFields = fc.subarray(['user', 'host', 'cmd', 'other', '_time', 'minute', 'x'], { minLength: 1, maxLength: 3 })
const someCount = fc.constantFrom('0', '1', '2', '5', '10000')
const sortKeys = fc.array(fc.tuple(fc.constantFrom('', '-', '+', '- '), fc.constantFrom('user', 'host', 'num(cmd)', 'str(user)', 'ip(host)', 'auto(other)', '_time', '"x y"')).map(parts => parts.join('')), { minLength: 1, maxLength: 3 })
/** A command that chooses or orders rows, as text. */
export const anyRowsStage: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(fc.constantFrom('', '1 ', '2 '), someFields, fc.constantFrom('', ' keepempty=true', ' consecutive=1', ' keepempty=t consecutive=true'), fc.option(sortKeys))
    .map(([count, fields, options, keys]) => `dedup ${count}${fields.join(' ')}${options}${keys === null ? '' : ` sortby ${keys.join(', ')}`}`),
  fc.tuple(someCount, sortKeys, fc.constantFrom('', ' desc')).map(([count, keys, end]) => `sort ${count} ${keys.join(', ')}${end}`),
  fc.tuple(fc.constantFrom('head', 'tail'), someCount).map(parts => parts.join(' ')),
  fc.constantFrom('head', 'tail limit=3', 'reverse'),
  fc.tuple(fc.constantFrom('top', 'rare'), fc.constantFrom('', 'limit=0 ', '2 ', 'countfield=n showperc=f ', 'showcount=0 percentfield=cmd1 '), someFields, fc.constantFrom('', ' BY zone', ' by "x y"')).map(([name, options, fields, by]) => `${name} ${options}${fields.join(' ')}${by}`),
  fc.tuple(fc.constantFrom('user', 'host', 'other', 'x'), fc.constantFrom('', ' limit=1', ' limit=0')).map(([field, limit]) => `mvexpand ${field}${limit}`),
)
/** A command that chooses, names or fills fields, as text. */
export const anyFieldsStage: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(fc.constantFrom('', '+ ', '- ', '-'), fc.oneof(someFields, fc.constantFrom(['*'], ['u*', '_*'], ['*o*', 'x'], ['"x y"', 'h*']))).map(([sign, fields]) => `fields ${sign}${fields.join(', ')}`),
  fc.array(fc.constantFrom('user AS host', 'host AS x', 'x AS user', 'cmd AS "x y"', '_time AS minute', 'nothing AS other', '* AS x*', 'x* AS *', '*o* AS *a*', '_* AS u*', 'user AS user', '*s*r AS *e*'), { minLength: 1, maxLength: 3 }).map(parts => `rename ${parts.join(', ')}`),
  fc.tuple(fc.constantFrom('count', 'dc(cmd) AS zone', 'values(other) AS x', 'max(_time) AS minute'), fc.constantFrom('', ' BY user', ' BY host other')).map(parts => `eventstats ${parts.join('')}`),
  fc.constantFrom('makemv other', 'makemv delim="1" allowempty=1 user', 'makemv tokenizer="([a-z])." host', 'nomv other', 'nomv x', 'addtotals', 'addtotals user other fieldname=x', 'addtotals fieldname=n _* *o*'),
  fc.constantFrom('replace "*a*" WITH "*-*" IN user', 'replace 42 WITH x, "*" WITH "" IN other, host', 'replace "x*" WITH "*"', 'replace "*" WITH "y" IN "x y"'),
  fc.constantFrom('regex user="[a-c]"', 'regex host!="^.?$"', 'regex "x"', 'rex field=user "(?<x>[a-z])(?<cmd>1)?"', 'rex max_match=0 field=other "(?<minute>\\d)"', 'rex field=host mode=sed "s/(a|b)/[\\1]/g"', 'rex field=x mode=sed "y/ab/ba/"'),
  fc.constantFrom('foreach * [eval <<FIELD>> = <<FIELD>> . "x"]', 'foreach u*, *o* [eval n_<<MATCHSTR>> = \'<<FIELD>>\', "<<MATCHSEG1>> s" = "<<FIELD>>"]', 'foreach user host [eval x = x . <<FIELD>>]'),
  fc.constantFrom('join user [search user=* | stats count AS n BY user]', 'join type=left max=0 host [search "a" | table host cmd]', 'join overwrite=false [search * | head 2 | table user x _time]', 'search [search host=* | fields host | head 2] OR NOT "a"', 'search user=* NOT [search NOT [search host=a | table cmd] | table cmd]'),
  fc.constantFrom('spath', 'spath input=other', 'spath a.b{} output=x', 'spath input=user path=c', 'convert num(user) rmcomma(*o*) none(host)', 'convert auto(*) ctime(_time) AS x', 'convert dur2sec(cmd) memk(other) AS cmd'),
  fc.tuple(fc.constantFrom('', 'value=none ', 'value="1.0" '), fc.option(someFields)).map(([value, fields]) => `fillnull ${value}${fields?.join(' ') ?? ''}`),
)
