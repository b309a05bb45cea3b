-- Prompt log-probabilities of vLLM, one row a token: the ids and log-probabilities of the likeliest tokens, for topk.
-- needs prompt_logprobs: prompt_logprobs, choices
-- may need prompt_token_ids (list): prompt_token_ids
-- may need item: custom_id, id, request_id
-- q: topk:ids,log_probs
-- id: row
-- example: {"request_id": "r1", "prompt_token_ids": [5, 9], "prompt_logprobs": [null, {"9": {"logprob": -0.2, "rank": 1}, "7": {"logprob": -2.1, "rank": 2}}]}
WITH prompts AS (
    SELECT
        item,
        CAST(to_json(prompt_token_ids) AS BIGINT[]) AS tokens,
        CAST(
            coalesce(
                to_json(prompt_logprobs) -> '$[0].prompt_logprobs', to_json(prompt_logprobs)
            ) AS JSON[]
        ) AS given
    FROM file
),
positions AS (
    SELECT item, tokens, generate_subscripts(given, 1) AS position, unnest(given) AS top
    FROM prompts
),
entries AS (
    SELECT
        item,
        position - 1 AS position,
        tokens[position] AS token,
        list_sort(
            list_transform(
                list_filter(
                    map_entries(CAST(top AS MAP(VARCHAR, JSON))),
                    lambda e: e.value ->> '$' IS NOT NULL
                ),
                lambda e: {
                    'minus': -CAST(coalesce(e.value ->> '$.logprob', e.value ->> '$') AS DOUBLE),
                    'id': CAST(e.key AS BIGINT)
                }
            )
        ) AS listed
    FROM positions
    WHERE json_type(top) = 'OBJECT'
),
shortest AS (
    SELECT min(len(listed)) AS k FROM entries
)
SELECT
    concat_ws(':', item, position) AS row,
    item,
    position,
    token,
    list_transform(listed[1:k], lambda e: e.id) AS ids,
    list_transform(listed[1:k], lambda e: -e.minus) AS log_probs
FROM entries, shortest
