-- One column an annotator, with gaps, as ratings in medicine are kept.
-- columns annotator: rater*, annotator*, worker*, coder*, reader*, observer*, judge*, grader*, reviewer*, radiologist*, pathologist*, expert*, doctor*, ann_*, ann[0-9]*, r[0-9], r[0-9][0-9]
-- may need item: id, item, item_id, sent_id, case, case_id, image_id, study_id, patient_id
-- p: votes:{annotator}
-- example: case,rater_1,rater_2,rater_3
-- example: 17,benign,benign,
SELECT * FROM file
