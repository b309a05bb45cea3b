-- Pictures in parquet as the hub of datasets keeps them: {bytes, path}, and a label as a number.
-- needs image (map): image, img, picture, photo
-- needs label: label, labels, fine_label, target, class
-- p: labels:{label}
-- example: image {bytes, path}, label
SELECT * FROM file
