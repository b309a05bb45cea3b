-- Prodigy's jsonl: the accepted option of every task, or accept and reject where there is none; ignored ones are left out and counted.
-- needs item: _task_hash, _input_hash
-- needs answer: answer
-- may need annotator: _annotator_id, _session_id
-- counts skipped: tasks that were ignored or have no accepted option, left out
-- counts several: tasks with several accepted options, of which the first counts
-- then: long
-- example: {"text": "...", "_task_hash": 12, "accept": ["Neutral"], "answer": "accept", "_annotator_id": "ann"}
WITH tasks AS (
    SELECT *, to_json(file) -> '$.accept' AS accept_ FROM file
),
labelled AS (
    SELECT
        *,
        CASE
            WHEN answer = 'ignore' THEN NULL
            WHEN accept_ IS NULL THEN answer
            WHEN answer = 'accept' THEN accept_ ->> '$[0]'
        END AS label_
    FROM tasks
)
SELECT
    item,
    annotator,
    label_ AS label,
    * EXCLUDE (item, annotator, answer, accept_, label_),
    label_ IS NULL AS skipped,
    coalesce(json_array_length(accept_), 0) > 1 AS several
FROM labelled
