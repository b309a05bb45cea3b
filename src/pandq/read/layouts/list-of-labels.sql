-- A list of labels a row, of any length, in which null, an empty text and "-" are none.
-- needs label (list): annotator_labels, labels_list, label_list, all_labels, old_labels, annotations, answers, ratings, votes, labels
-- may need annotator (list): annotators, annotator_ids, worker_ids, workers, annotator_list
-- p: votes:{label}
-- annotators: {annotator}
-- example: {"sentence1": "A man sleeps.", "annotator_labels": ["neutral", "entailment", "neutral"], "gold_label": "neutral"}
SELECT * FROM file
