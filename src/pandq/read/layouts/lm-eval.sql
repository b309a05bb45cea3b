-- Samples of lm-evaluation-harness for multiple choice: the choices' log-likelihoods as logits, and per_character, divided by the choices' lengths.
-- needs doc_id: doc_id
-- needs target: target
-- needs resps (list or list of maps): filtered_resps, resps
-- needs arguments: arguments
-- p: labels:label
-- q: logits:logits
-- id: doc_id
-- counts fewer: rows with fewer choices than others: those that they lack have no probability
-- example: {"doc_id": 0, "target": 1, "arguments": [["Question? Answer:", " yes"], ["Question? Answer:", " no"]], "filtered_resps": [[-2.5, false], [-0.5, true]]}
WITH read AS (
    SELECT
        *, CAST(to_json(resps) AS JSON[]) AS r, to_json(arguments) AS a,
        to_json(target) ->> '$' AS said
    FROM file
),
choices AS (
    SELECT
        *,
        list_transform(
            r, lambda x: CAST(coalesce(x ->> '$[0][0]', x ->> '$[0]') AS DOUBLE)
        ) AS logits,
        list_transform(
            range(len(r)),
            lambda i: ltrim(
                coalesce(
                    a ->> ('$[' || i || '][1]'), a ->> ('$.gen_args_' || i || '.arg_1')
                )
            )
        ) AS texts
    FROM read
)
SELECT
    doc_id,
    coalesce(
        TRY_CAST(said AS INTEGER),
        list_position(texts, trim(said)) - 1
    ) AS label,
    list_resize(logits, most, '-inf'::DOUBLE) AS logits,
    list_resize(
        list_transform(logits, lambda x, i: x / length(texts[i])), most, '-inf'::DOUBLE
    ) AS per_character,
    texts AS choices,
    len(logits) < most AS fewer
FROM choices, (SELECT max(len(logits)) AS most FROM choices) AS widest
