-- A map of label to count, or of label to probability.
-- needs label (map): label_counter, label_counts, label_count, label_dist, label_distribution, counts, votes, soft_label, soft_labels, distribution
-- p: counts:{label} if whole, else probs
-- example: {"uid": "7b", "label_counter": {"e": 61, "n": 37, "c": 2}}
SELECT * FROM file
