-- One row an answer, as crowdsourcing platforms export it: who gave which item what label.
-- needs item: item, item_id, itemid, unit, unit_id, _unit_id, hitid, task, task_id, taskid, assignment:task_id, input:*, question_id, example_id, document_id, doc_id, text_id, image_id, comment_id, sentence_id, id
-- may need annotator: annotator, annotator_id, worker, worker_id, workerid, _worker_id, rater, rater_id, coder, coder_id, user, user_id, username, completed_by, assignment:worker_id, observer, reader, judge
-- needs label: label, answer, annotation, response, rating, choice, category, judgment, judgement, vote, answer.*, output:*, sentiment, class
-- carries: item
-- p: votes:votes
-- annotators: annotators
-- id: item
-- example: item,annotator,label
-- example: q1,ann,yes
SELECT
    item,
    coalesce(list(label ORDER BY pandq_row) FILTER (label IS NOT NULL), []) AS votes,
    coalesce(list(annotator ORDER BY pandq_row) FILTER (label IS NOT NULL), []) AS annotators,
    min(COLUMNS(* EXCLUDE (item, annotator, label)))
FROM file
GROUP BY item
ORDER BY min(pandq_row)
