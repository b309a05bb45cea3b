-- Label Studio's JSON export: the first choice of every annotation; cancelled ones are left out and counted.
-- needs annotations (list of maps): annotations, completions
-- may need item: id
-- unfolds: data
-- counts skipped: annotations that were cancelled or chose nothing, left out
-- counts several: annotations that chose several classes, of which the first counts
-- then: long
-- example: [{"id": 1, "annotations": [{"completed_by": 11, "was_cancelled": false, "result": [{"type": "choices", "from_name": "sentiment", "value": {"choices": ["Neutral"]}}]}], "data": {"text": "..."}}]
WITH answers AS (
    SELECT
        file.*,
        asked.label AS control,
        unnest(
            CASE
                WHEN len(CAST(to_json(annotations) AS JSON[])) > 0
                THEN CAST(to_json(annotations) AS JSON[])
                ELSE [NULL]
            END
        ) AS a
    FROM file, asked
),
chosen AS (
    SELECT
        *,
        list_filter(
            CAST(a -> '$.result' AS JSON[]),
            lambda r: r ->> '$.type' = 'choices'
                AND coalesce(r ->> '$.from_name' = control, true)
        )[1] -> '$.value.choices' AS choices,
        coalesce(a ->> '$.was_cancelled', 'false') = 'true' AS cancelled
    FROM answers
)
SELECT
    item,
    coalesce(
        a ->> '$.completed_by.id', a ->> '$.completed_by.email', a ->> '$.completed_by'
    ) AS annotator,
    CASE WHEN NOT cancelled THEN choices ->> '$[0]' END AS label,
    * EXCLUDE (item, annotations, control, a, choices, cancelled),
    a IS NOT NULL AND (cancelled OR choices ->> '$[0]' IS NULL) AS skipped,
    coalesce(json_array_length(choices), 0) > 1 AS several
FROM chosen
