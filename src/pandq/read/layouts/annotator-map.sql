-- A map of annotator to label, or labels in one text with commas between them (learning with disagreement).
-- needs label (map or text): annotations, annotation, labels_by_annotator, annotator_labels
-- may need annotator (list or text): annotators
-- may need item: item, id
-- p: votes:{label}
-- annotators: {annotator}
-- example: {"1": {"text": "...", "annotations": {"Ann1": "0", "Ann2": "1"}, "soft_label": {"0": 0.5, "1": 0.5}}}
SELECT * FROM file
