-- A submission, an id and one column a class, and the truth in a second file, joined by its id.
-- needs item: id, image_id, imageid, image, img, filename, file_name, file, row_id, uid
-- truth: item
-- needs truth label: label, labels, target, class, category, answer, y, *
-- p: labels:{label}
-- q: probs:{numbers}
-- id: {item}
-- example: id,cat,dog
-- example: 1.png,0.9,0.1
SELECT * FROM file
