-- Pictures in parquet as the hub of datasets keeps them: {bytes, path}, and labels whose names the file's metadata has.
-- needs image (map): image, img, picture, photo
-- needs label: label, labels, fine_label, target, class
-- p: labels:{label}
-- example: image {bytes, path}, label (a ClassLabel with its names)
SELECT * FROM file
