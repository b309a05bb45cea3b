-- Samples of lm-evaluation-harness for multiple choice: the choices' log-likelihoods as logits, and per_character, divided by the choices' lengths.
-- needs doc_id: doc_id
-- needs target: target
-- needs resps (list): filtered_resps, resps
-- needs arguments: arguments
-- p: labels:label
-- q: logits:logits
-- id: doc_id
-- example: {"doc_id": 0, "target": 1, "arguments": [["Question? Answer:", " yes"], ["Question? Answer:", " no"]], "filtered_resps": [[-2.5, false], [-0.5, true]]}
WITH read AS (
    SELECT *, CAST(to_json(resps) AS JSON[]) AS r, to_json(arguments) AS a FROM file
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
        TRY_CAST(CAST(target AS VARCHAR) AS INTEGER),
        list_position(texts, trim(CAST(target AS VARCHAR))) - 1
    ) AS label,
    logits,
    list_transform(logits, lambda x, i: x / length(texts[i])) AS per_character,
    texts AS choices
FROM choices
