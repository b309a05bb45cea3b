-- Chat completions with top log-probabilities, also of batches: the first token's as logits of the classes; name these with --classes.
-- needs answers (map or list of maps): response, choices
-- may need item: custom_id, id
-- truth: item
-- needs truth label: label, labels, target, class, category, answer, y, *
-- p: labels:{label}
-- q: logits:top
-- id: {item}
-- leaves out failed: requests that failed or have no log-probabilities, left out
-- example: {"custom_id": "q1", "response": {"status_code": 200, "body": {"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.5}]}]}}]}}}
WITH bodies AS (
    SELECT
        *,
        coalesce(
            to_json(answers) -> '$.body.choices[0]', to_json(answers) -> '$[0]'
        ) AS choice
    FROM file
),
tokens AS (
    SELECT
        *,
        coalesce(
            list_transform(
                CAST(choice -> '$.logprobs.content[0].top_logprobs' AS JSON[]),
                lambda t: {'token': trim(t ->> '$.token'), 'p': exp(CAST(t ->> '$.logprob' AS DOUBLE))}
            ),
            list_transform(
                map_entries(CAST(choice -> '$.logprobs.top_logprobs[0]' AS MAP(VARCHAR, DOUBLE))),
                lambda t: {'token': trim(t.key), 'p': exp(t.value)}
            )
        ) AS listed
    FROM bodies
),
summed AS (
    SELECT *, list_sort(list_distinct(list_transform(listed, lambda t: t.token))) AS names FROM tokens
)
SELECT
    * EXCLUDE (answers, choice, listed, names),
    trim(coalesce(choice ->> '$.message.content', choice ->> '$.text')) AS answer,
    map_from_entries(
        list_transform(
            names,
            lambda n: {
                'key': n,
                'value': ln(list_sum(list_transform(
                    list_filter(listed, lambda t: t.token = n), lambda t: t.p
                )))
            }
        )
    ) AS top,
    listed IS NULL AS failed
FROM summed
