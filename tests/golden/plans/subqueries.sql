-- title: persons in a sub-query
SELECT avg(bmi) FROM liver.patients WHERE patient_id IN (SELECT patient_id FROM liver.conditions WHERE condition = 'diabetes');
--> reads liver.patients (one row a person): patient_id, bmi
--> keeps rows for which the following has some of the same person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, condition
-->   keeps rows where conditions.condition = 'diabetes'
--> measure 1: sum of deviations of patients.bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: count of rows where patients.bmi is not null
--> each person counts with one row
--> shows avg(bmi): mean from measures 1 and 2, in kg/m2

-- title: persons not in a sub-query
SELECT avg(bmi) FROM liver.patients WHERE patient_id NOT IN (SELECT patient_id FROM liver.conditions);
--> reads liver.patients (one row a person): patient_id, bmi
--> keeps rows for which the following has none of the same person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id
--> measure 1: sum of deviations of patients.bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: count of rows where patients.bmi is not null
--> each person counts with one row
--> shows avg(bmi): mean from measures 1 and 2, in kg/m2

-- title: EXISTS about the same person, with more conditions
SELECT count(*) FROM liver.patients p WHERE EXISTS (SELECT 1 FROM liver.conditions c WHERE c.patient_id = p.patient_id AND c.condition = 'stroke' AND c.day < p.follow_up_days);
--> reads liver.patients (one row a person): patient_id, follow_up_days
--> keeps rows for which the following has some of the same person where conditions.day < patients.follow_up_days:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, day, condition
-->   keeps rows where conditions.condition = 'stroke'
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: NOT EXISTS about the same person
SELECT count(*) FROM liver.patients p WHERE NOT EXISTS (SELECT * FROM liver.measurements m WHERE m.patient_id = p.patient_id);
--> reads liver.patients (one row a person): patient_id
--> keeps rows for which the following has none of the same person:
-->   reads liver.measurements (at most 60 rows a person count): patient_id
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: EXISTS within EXISTS
SELECT count(*) FROM liver.patients p WHERE EXISTS (SELECT 1 FROM liver.conditions c WHERE c.patient_id = p.patient_id AND EXISTS (SELECT 1 FROM liver.measurements m WHERE m.patient_id = c.patient_id AND m.day = c.day));
--> reads liver.patients (one row a person): patient_id
--> keeps rows for which the following has some of the same person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, day
-->   keeps rows for which the following has some of the same person where conditions.day = measurements.day:
-->     reads liver.measurements (at most 60 rows a person count): patient_id, day
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: values of a public table
SELECT count(*) FROM liver.conditions WHERE code IN (SELECT code FROM liver.icd WHERE organ = 'liver');
--> reads liver.conditions (at most 14 rows a person count): patient_id, code
--> keeps rows for which the following has some where conditions.code = icd.code:
-->   reads liver.icd (public): code, organ
-->   keeps rows where icd.organ = 'liver'
--> measure 1: count of rows
--> each person counts with at most 14 rows
--> shows count(*): measure 1

-- title: values not in a public table, NULLs as SQL has them
SELECT count(*) FROM liver.patients WHERE site NOT IN (SELECT chapter FROM liver.icd);
--> reads liver.patients (one row a person): patient_id, site
--> keeps rows for which the following has none where coalesce(patients.site = icd.chapter, true):
-->   reads liver.icd (public): chapter
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: EXISTS over a public table
SELECT count(*) FROM liver.conditions c WHERE EXISTS (SELECT 1 FROM liver.icd i WHERE i.code = c.code AND i.weight > 5);
--> reads liver.conditions (at most 14 rows a person count): patient_id, code
--> keeps rows for which the following has some where conditions.code = icd.code:
-->   reads liver.icd (public): code, weight
-->   keeps rows where icd.weight > 5
--> measure 1: count of rows
--> each person counts with at most 14 rows
--> shows count(*): measure 1

-- title: a sub-query test inside OR is one flag a person
SELECT count(*) FROM liver.patients WHERE age > 80 OR patient_id IN (SELECT patient_id FROM liver.conditions WHERE condition = 'stroke');
--> reads liver.patients (one row a person): patient_id, age
--> joins on the person, keeping rows without a match:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, condition
-->   keeps rows where conditions.condition = 'stroke'
-->   makes one row for each person
-->     computes d0.0 = count of rows
--> keeps rows where (patients.age > 80) or d0.0 is not null
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: a sub-query test inside FILTER
SELECT count(*) FILTER (WHERE patient_id IN (SELECT patient_id FROM liver.conditions)) AS ill, count(*) AS everyone FROM liver.patients;
--> reads liver.patients (one row a person): patient_id
--> joins on the person, keeping rows without a match:
-->   reads liver.conditions (at most 14 rows a person count): patient_id
-->   makes one row for each person
-->     computes d0.0 = count of rows
--> measure 1: count of rows where d0.0 is not null
--> measure 2: count of rows
--> each person counts with one row
--> shows ill: measure 1
--> shows everyone: measure 2

-- title: persons picked by their aggregates
SELECT avg(bmi) FROM liver.patients WHERE patient_id IN (SELECT patient_id FROM liver.conditions GROUP BY patient_id HAVING count(*) >= 3);
--> reads liver.patients (one row a person): patient_id, bmi
--> keeps rows for which the following has some of the same person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id
-->   makes one row for each person
-->     computes d0.0 = count of rows
-->   keeps rows where d0.0 >= 3
--> measure 1: sum of deviations of patients.bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: count of rows where patients.bmi is not null
--> each person counts with one row
--> shows avg(bmi): mean from measures 1 and 2, in kg/m2

-- title: a later value of the same person
SELECT count(*) FROM liver.conditions c WHERE c.day NOT IN (SELECT m.day FROM liver.measurements m WHERE m.patient_id = c.patient_id);
--> reads liver.conditions (at most 14 rows a person count): patient_id, day
--> keeps rows for which the following has none of the same person where conditions.day = measurements.day:
-->   reads liver.measurements (at most 60 rows a person count): patient_id, day
--> measure 1: count of rows
--> each person counts with at most 14 rows
--> shows count(*): measure 1
